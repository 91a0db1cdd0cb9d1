"""A bundle's model as MLflow's python function: photos as bytes in, answers out.

MLflow keeps this file with the model and runs it to load the model (models from code), so that nothing is pickled. It
needs fishnet to be installed where the model is used.
"""

from pathlib import Path

import pandas as pd
from mlflow.models import set_model
from mlflow.pyfunc import PythonModel, PythonModelContext

from fishnet.models.answers import answers
from fishnet.models.bundle import read_bundle

AT_ONCE = 32  # photos


class PhotoModel(PythonModel):
    """Answers on photos: a table with the bytes of their files in a column `photo`."""

    def load_context(self, context: PythonModelContext) -> None:
        self.model = read_bundle(Path(context.artifacts["bundle"])).model

    def predict(self, context: PythonModelContext, model_input: pd.DataFrame, params: dict | None = None):
        """`predicted`, `problem`, `probability`, `none_of_these` where the model can say so, and the probability of
        each class, a row a photo."""
        rows = []
        for answer in answers(self.model, [bytes(photo) for photo in model_input["photo"]], AT_ONCE):
            each = answer.probabilities or [float("nan")] * len(self.model.classes)
            best = max(range(len(each)), key=each.__getitem__)
            predicted = "" if answer.problem else self.model.classes[best]
            found = {"predicted": predicted, "problem": answer.problem, "probability": each[best]}
            found |= {"none_of_these": bool(answer.strange)} if self.model.familiarity else {}
            rows.append({**found, **dict(zip(self.model.classes, each, strict=True))})
        return pd.DataFrame(rows, index=model_input.index)


set_model(PhotoModel())

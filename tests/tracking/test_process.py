import dataclasses
import subprocess
import sys

from fishnet.tracking.process import Writer, start_time, this_process


def test_this_process_lives_and_survives_its_tag():
    here = this_process()
    assert here.alive() is True
    assert Writer.from_tag(here.to_tag()) == here
    assert Writer.from_tag("nonsense") is None
    assert Writer.from_tag('{"pid": 1}') is None


def test_a_reused_number_does_not_fool():
    assert dataclasses.replace(this_process(), started="1").alive() is False


def test_an_ended_process_is_dead_even_before_its_parent_asks():
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    writer = dataclasses.replace(this_process(), pid=child.pid, started=start_time(child.pid))
    assert writer.alive() is True
    child.kill()
    while start_time(child.pid):  # until the kernel has made it a zombie
        pass
    assert writer.alive() is False
    child.wait()
    assert writer.alive() is False


def test_other_places_are_unknown_and_an_earlier_boot_is_dead():
    here = this_process()
    assert dataclasses.replace(here, host="elsewhere").alive() is None
    assert dataclasses.replace(here, namespace="another container").alive() is None
    assert dataclasses.replace(here, boot="yesterday").alive() is False

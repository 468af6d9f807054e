# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When the monitor reports that no run can be made, and when it stops reporting it."""

from __future__ import annotations

from monitor.runs.trouble import IN_A_ROW, LATE, Trouble


def test_an_error_of_ansible_counts_at_once_and_other_ends_count_in_a_row() -> None:
    one = Trouble()
    one.begins(1.0, 1000.0)
    one.ended("it ended with 1", "[ERROR]: no such file\n")
    assert (one.why, one.since, one.hopeful) == ("ERROR! no such file", 1000.0, False)
    other = Trouble()
    for _attempt in range(IN_A_ROW):
        assert other.why == ""
        other.begins(1.0, 1000.0)
        other.ended("it ended with 137", "PLAY [x]\n\n")
    assert other.why == "it ended with 137: PLAY [x]"


def test_a_run_that_is_ready_ends_it_and_the_time_begins_again() -> None:
    one = Trouble()
    one.begins(1.0, 1000.0)
    one.impossible("there is no ansible-playbook")
    one.fine()
    assert (one.why, one.failures) == ("", 0)
    one.begins(50.0, 1050.0)
    one.impossible("again")
    assert one.since == 1050.0


def test_a_run_that_does_not_become_ready_is_late_from_the_first_attempt_on() -> None:
    one = Trouble()
    one.begins(0.0, 1000.0)
    one.ended("it ended with 1", "")
    one.begins(LATE - 1, 1000.0 + LATE - 1)
    assert not one.is_late(LATE)
    assert one.is_late(LATE + 0.1)
    one.late("Passphrase:\x1b[0m")
    assert (one.hopeful, one.why.endswith("Passphrase: [0m")) == (True, True)
    assert not one.is_late(LATE + 1), "it is said once"


def test_a_cold_run_that_worked_shows_that_runs_can_be_made_but_the_pauses_between_standbys_stay() -> None:
    one = Trouble()
    for _attempt in range(IN_A_ROW):
        one.begins(0.0, 1000.0)
        one.ended("it ended with 9", "")
    one.worked()
    assert (one.why, one.failures) == ("", IN_A_ROW)


def test_a_request_is_tried_while_the_last_run_that_had_something_to_do_did_it() -> None:
    """Runs that are made ready ahead are killed by something: that says nothing of one that begins with its work."""
    one = Trouble()
    one.worked()
    for _time in range(IN_A_ROW):
        one.begins(0.0, 1000.0)
        one.ended("it ended with -9", "")
    assert (one.why, one.hopeful) == ("it ended with -9", True)
    one.ended("it ended with -9", "", at_work=True)
    assert (one.why, one.hopeful) == ("it ended with -9", False)


def test_an_error_of_ansible_refuses_requests_whatever_worked_before() -> None:
    one = Trouble()
    one.worked()
    one.ended("it ended with 4", "[ERROR]: no such file")
    assert (one.why, one.hopeful) == ("ERROR! no such file", False)
    one.worked()
    assert one.why == "" and one.failures == 1, "those made ready ahead still wait longer and longer"


def test_the_error_of_the_task_that_ended_it_is_named_however_much_follows() -> None:
    """A controller that reached itself by ssh: what was said of it was a line of the recap."""
    task = "TASK [%s] ****\n[ERROR]: Task failed: %s\nOrigin: a.yml\nfatal: [%s]: UNREACHABLE! => {\"msg\": \"%s\"}\n"
    output = (
        "PLAY [Observe] ****\n" + task % ("Look", "first", "server_3", "first") + "...ignoring\n"
        + task % ("Check the site", "Host key verification failed.", "server_1", "Host key") + "\n"
        + "PLAY [Act] ****\nskipping: no hosts matched\n" * 12
        + "PLAY RECAP ****\nserver_1 : ok=0\nserver_3 : ok=1\n"
    )  # fmt: skip
    one = Trouble()
    one.ended("it ended with 4", output)
    assert one.why == "ERROR! Task failed: Host key verification failed."


def test_a_recap_is_no_reason() -> None:
    one = Trouble()
    one.ended("it ended with 2", "TASK [Plan] ****\nit is late\nPLAY RECAP ****\nserver_3 : ok=1\n", at_work=True)
    for _attempt in range(IN_A_ROW):
        one.ended("it ended with 2", "TASK [Plan] ****\nit is late\nPLAY RECAP ****\nserver_3 : ok=1\n")
    assert one.why == "it ended with 2: it is late"

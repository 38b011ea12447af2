"""`make submit`, `scores` and `doctor`: the real Kaggle client against a stand-in server."""

import errno
import json
import re
import shlex
import signal
import subprocess
import sys
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
from conftest import ROOT, run_command
from kaggle_server import REFERENCE, Answer, json_answer, listing, refusal
from kaggle_world import (
    GIVEN,
    INSTALLED,
    KEY_FILE,
    SUBMISSION,
    SUBMISSION_HASH,
    TOKEN,
    Arrange,
    Case,
    World,
    all_of,
    answering,
    as_it_is,
    changed,
    competition_files,
    csv_bytes,
    fails,
    held,
    interrupted,
    is_told,
    no_network,
    setting,
    silent_at,
    works,
)

from competition import paths
from competition.errors import UserError
from competition.kaggle import submissions
from competition.kaggle.submissions import (
    COLUMNS,
    Entry,
    add_to_history,
    difference,
    read_history,
    scoreboard,
    send,
    wait_for_score,
)
from competition.paths import COMPETITION
from competition.submission import HEADER

MESSAGE = 'five folds, "wide" – 99%'
OLD = Entry(
    time="2026-01-02T03:04:05+00:00",
    file="submissions/old.csv",
    sha256=SUBMISSION_HASH,
    config="old",
    out_of_fold="0.995",
    reference=str(REFERENCE),
    public_score="0.99000",
    status="complete",
    out_of_fold_rows="42000",
)


def ready(*changes: Arrange) -> Arrange:
    """The data is installed, and a submission was made from it; then something changes."""
    return all_of(World.install, World.make_submission, *changes)


def listed(*answers: Answer) -> Arrange:
    return answering("ListSubmissions", list(answers))


def sent_before(**changes: str) -> Arrange:
    """The same content was sent before, under another name."""
    return ready(lambda world: add_to_history(Entry(**asdict(OLD) | changes)))


def another_sample(world: World) -> None:
    path = paths.DataPaths(COMPETITION).sample_submission
    path.write_bytes(csv_bytes(HEADER, [[1, 0]]))


def damaged_history(world: World) -> None:
    paths.SUBMISSION_HISTORY.write_text("nonsense\n")


def disk_full_afterwards(world: World) -> None:
    def refuse(entry: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    world.monkeypatch.setattr(submissions, "add_to_history", refuse)


TAKEN = ((str(REFERENCE), "complete", "0.99000"),)
WAITING = ((str(REFERENCE), "pending", ""),)
UNSCORABLE = ((str(REFERENCE), "error", ""),)
SCORED, PENDING = listing("COMPLETE", publicScore="0.99000"), listing("PENDING")
LIMIT = "Your team has used its daily Submission allowance (5/5)"
FILE = "submissions/default.csv"
KAGGLE_HAS_IT = f"Kaggle has {FILE} as submission {REFERENCE}"
NOTHING_SENT = (
    "Nothing was submitted. Workaround: upload the file in the browser at "
    "https://www.kaggle.com/competitions/digit-recognizer/submit."
)
LOOK_THERE = "Kaggle may have accepted it nevertheless: see https://www.kaggle.com/competitions"

submits = {"command": ("submit",), "input": GIVEN}
sends = partial(works, **submits, asked={"upload": 1})
is_refused = partial(fails, **submits, asked={"IntrospectToken": 0})
fails_on_the_way = partial(fails, **submits)

# The client is not started for these; `test_submission.py` has more of what Kaggle would refuse.
REFUSED = {
    "sent before": is_refused(
        sent_before(),
        "was submitted already, with the same content: submissions/old.csv ... "
        "public score 0.99000 ... FORCE=1",
        history=TAKEN,
    ),
    "made from other data": is_refused(
        ready(lambda world: world.make_submission(data_set="embedded")),
        "was made from the data set 'embedded'",
    ),
    "no such file": is_refused(
        ready(), "there is no other.csv", command=("submit", "--file", "other.csv")
    ),
    "no data to check with": is_refused(
        as_it_is, "sample_submission.csv is needed ... `make download` fetches it", input=set()
    ),
    "rows missing": is_refused(
        ready(lambda world: world.make_submission(csv_bytes(HEADER, [[1, 7], [2, 0]]))),
        "has 2 rows, but ... asks for 3",
    ),
    "a sample of something else": is_refused(
        ready(another_sample),
        "sample_submission.csv has 1 rows, but the competition 'digit-recognizer' asks for 3",
    ),
    "a factor that is none": is_refused(
        ready(setting(DIGITS_KAGGLE_TIMEOUT_FACTOR="-1")), "DIGITS_KAGGLE_TIMEOUT_FACTOR is '-1'"
    ),
    "a damaged history, FORCE": is_refused(
        ready(damaged_history),
        "history.csv is damaged ... move it away",
        command=("submit", "--force"),
        history=None,
    ),
}

SENT = {
    "taken, and scored after a while": sends(
        ready(listed(PENDING, SCORED)),
        f"{KAGGLE_HAS_IT}\npublic score 0.99000\nout of fold 0.995: -9.2 standard errors apart",
        history=TAKEN,
    ),
    "not scored in time": sends(
        ready(changed(submissions, SCORE_SECONDS=1), listed(json_answer({}))),
        f"{KAGGLE_HAS_IT}\nit has no score yet; `make scores` asks again",
        history=WAITING,
    ),
    "the score cannot be asked for": sends(
        ready(listed(Answer(500))),
        f"{KAGGLE_HAS_IT} ... could not be asked for. Kaggle itself has an error (500)",
        history=WAITING,
    ),
    "Kaggle cannot score it": fails_on_the_way(
        ready(listed(listing("ERROR", errorDescription="Evaluation exception"))),
        f"{KAGGLE_HAS_IT} ... could not score submission {REFERENCE}: Evaluation exception",
        history=UNSCORABLE,
    ),
    "sent before, FORCE": sends(
        sent_before(), KAGGLE_HAS_IT, command=("submit", "--force"), history=(*TAKEN, *TAKEN)
    ),
    "the disk is full when it was taken": fails_on_the_way(
        ready(disk_full_afterwards),
        f"{KAGGLE_HAS_IT}, but the history could not be written (No space left on device) ... "
        "Do not send it again ... /competitions/digit-recognizer/submissions",
        is_open=True,
    ),
    "upload refused": fails_on_the_way(
        ready(answering("upload", Answer(400))),
        f"The upload of {FILE} to Kaggle's storage failed, so nothing was submitted ... Workaround",
        asked={"CreateSubmission": 0},
    ),
    "no reference": fails_on_the_way(
        ready(answering("CreateSubmission", json_answer({"message": f"Not with {TOKEN}"}))),
        f"Kaggle did not accept {FILE}: Not with …. {NOTHING_SENT}",
    ),
    "limit of the day": fails_on_the_way(
        ready(answering("CreateSubmission", refusal(400, LIMIT))),
        f"400: {LIMIT}) ... {NOTHING_SENT}",
    ),
    "an error before the upload": fails_on_the_way(
        ready(answering("StartSubmissionUpload", Answer(500))), f"(500) ... {NOTHING_SENT}"
    ),
    "an error after the upload": fails_on_the_way(
        ready(answering("CreateSubmission", Answer(500))),
        f"(500) ... {LOOK_THERE}",
        is_open=True,
    ),
    "silence after the upload": fails_on_the_way(
        ready(silent_at("CreateSubmission")),
        f"the client was confirming the submission ... {LOOK_THERE}",
        is_open=True,
    ),
}


def at(minutes: float) -> str:
    """Returns a time some minutes after now, as Kaggle writes it."""
    when = datetime.now(UTC) + timedelta(minutes=minutes)
    return f"{when.replace(tzinfo=None).isoformat(timespec='milliseconds')}Z"


def cut_off(*listings: Answer, **changes: str) -> Arrange:
    """A command was killed while it sent a submission; what Kaggle lists afterwards."""
    entry = Entry(datetime.now(UTC).isoformat(timespec="seconds"), FILE, SUBMISSION_HASH)
    record = json.dumps(asdict(entry) | changes)
    return ready(lambda world: paths.SENDING.write_text(record), listed(*listings))


def cut_off_after_all(world: World) -> None:
    sent_before()(world)
    paths.SENDING.write_text(json.dumps(asdict(OLD)))


def in_list(minutes: float = 0, name: str = "default.csv", **more: str) -> Answer:
    return listing("PENDING", fileName=name, date=at(minutes), **more)


WAS_CUT_OFF = f"the sending of {FILE} at ... was cut off; Kaggle"
HAS_IT = f"{WAS_CUT_OFF} has it as submission {REFERENCE}"
HAS_IT_NOT = f"{WAS_CUT_OFF} does not have it"

CUT_OFF = {
    "Kaggle has it": fails_on_the_way(
        cut_off(in_list()),
        f"{HAS_IT} ... was submitted already, with the same content ... (reference {REFERENCE}); "
        "FORCE=1",
        history=WAITING,
        asked={"upload": 0},
    ),
    "Kaggle has it, by another clock": fails_on_the_way(
        cut_off(in_list(-55)), f"{HAS_IT} ... already", history=WAITING, asked={"upload": 0}
    ),
    "Kaggle has it, and another file is sent": sends(
        cut_off(in_list(), SCORED, sha256="f" * 64),
        f"{KAGGLE_HAS_IT} ... {HAS_IT}",
        history=None,  # the stand-in gives both the same reference
    ),
    "Kaggle does not have it": sends(
        cut_off(listing("COMPLETE"), SCORED), f"{KAGGLE_HAS_IT} ... {HAS_IT_NOT}", history=TAKEN
    ),
    "Kaggle has an older one of this name": sends(
        cut_off(in_list(-90), SCORED), f"{KAGGLE_HAS_IT} ... {HAS_IT_NOT}", history=TAKEN
    ),
    "Kaggle has a later one of another name": sends(
        cut_off(in_list(1, "best.csv"), SCORED), f"{KAGGLE_HAS_IT} ... {HAS_IT_NOT}", history=TAKEN
    ),
    "Kaggle cannot be asked": fails_on_the_way(
        cut_off(Answer(500)),
        "Kaggle itself has an error (500)",
        asked={"upload": 0},
        is_open=True,
    ),
    "a damaged record": is_refused(
        ready(lambda world: paths.SENDING.write_text("[" * 50_000)),
        ".sending.json is damaged: a submission's sending was cut off; look at",
        is_open=True,
    ),
    "a record without an end": is_refused(
        ready(lambda world: paths.SENDING.write_text('{"time": "')), "is damaged", is_open=True
    ),
    "a record of other types": is_refused(
        ready(lambda world: paths.SENDING.write_text('{"time": "2026-11-29", "file": 7}')),
        "is damaged",
        is_open=True,
    ),
    "only the record was left": is_refused(
        cut_off_after_all, "was submitted already", history=TAKEN
    ),
    "scores": works(
        cut_off(in_list(), SCORED),
        f"0.99000 ... {HAS_IT}",
        command=("scores",),
        input=GIVEN,
        history=TAKEN,
    ),
}


def key_in_the_settings(world: World) -> None:
    world.without_token()
    world.keep(".config/kaggle/kaggle.json", KEY_FILE)


def refused_token_before_an_open_key(world: World) -> None:
    world.keep(".kaggle/kaggle.json", KEY_FILE).chmod(0o644)
    world.answer("IntrospectToken", refusal(401, f"no such token: {TOKEN}"))


shows = partial(works, command=("scores",), input=GIVEN)
diagnoses = partial(fails, command=("doctor",), input=INSTALLED)
was_pending = sent_before(status="pending", public_score="")

ENQUIRIES = {
    "scores of nothing": shows(as_it_is, "nothing was submitted from this folder yet", input=set()),
    "scores": shows(
        sent_before(),
        "submitted file config out of fold public difference in standard errors ... "
        "2026-01-02 03:04:05 submissions/old.csv old 0.995 0.99000 -9.2 complete"
        " ... from -2 to +2 is chance",
        history=TAKEN,
        asked={"IntrospectToken": 0},
    ),
    "scores that were pending": shows(was_pending, "0.99000 -9.2 complete", history=TAKEN),
    "scores without a network": shows(
        all_of(was_pending, no_network),
        "0.995 pending ... asking for pending scores failed: Kaggle cannot be reached",
        history=WAITING,
    ),
    "doctor, all is well": works(
        all_of(World.install, key_in_the_settings),
        "the client uses those in ~/.config/kaggle/kaggle.json ... "
        "it accepts the credentials, as those of 'somebody' ... accepted: the data of ... "
        "4 left today ... input/digit-recognizer/ is complete ... are free here ... "
        "AVX-512 ... AMX bf16 ... GPU",
        command=("doctor",),
        input=INSTALLED,
    ),
    "doctor, much to fix": diagnoses(
        refused_token_before_an_open_key,
        "not used, as those come first: ~/.kaggle/kaggle.json ... "
        "others can read ~/.kaggle/kaggle.json; `chmod 600 ... "
        "fix       server        Kaggle refused ... (401) ... "
        "the data set 'digit-recognizer' is not here ... error: fix first: server, data\n",
        input=set(),
    ),
    "doctor, rules not accepted": diagnoses(
        all_of(
            World.install,
            answering("DownloadDataFile", refusal(403, "")),
            answering("GetSubmissionLimits", json_answer({})),  # as before a first submission
        ),
        "fix       rules ... digit-recognizer/rules ... does not tell how many are left today",
    ),
    "doctor, a wrong key": diagnoses(
        all_of(
            World.install,
            key_in_the_settings,
            answering("DownloadDataFile", refusal(401, "")),
        ),
        "fix       server        Kaggle refused ... in ~/.config/kaggle/kaggle.json (401)",
    ),
    "doctor, no credentials": diagnoses(
        all_of(World.install, World.without_token, setting(KAGGLE_USERNAME="somebody")),
        "fix       credentials   The Kaggle client finds no credentials ... "
        "KAGGLE_KEY is not set ... fix first: credentials\n",
        asked={"IntrospectToken": 0},
    ),
}
CASES = {
    **REFUSED,
    **SENT,
    **ENQUIRIES,
    **{f"cut off: {name}": case for name, case in CUT_OFF.items()},
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_case(case: Case, world: World):
    case.check(world)


def test_a_submission_is_sent_unchanged_and_kept_in_the_history(world: World):
    ready()(world)
    assert world.run("submit", "--message", MESSAGE)[0] == 0
    assert world.server.received("upload").body == SUBMISSION
    sent = json.loads(world.server.received("CreateSubmission").body)
    assert sent["competitionName"] == COMPETITION
    assert sent["submissionDescription"] == MESSAGE
    (entry,) = read_history().to_dict("records")
    taken = datetime.fromisoformat(entry.pop("time"))
    assert timedelta(0) <= datetime.now(UTC) - taken < timedelta(minutes=1)
    assert entry == {
        "file": "submissions/default.csv",
        "sha256": SUBMISSION_HASH,
        "config": "default",
        "out_of_fold": "0.995",
        "reference": str(REFERENCE),
        "public_score": "0.99000",
        "status": "complete",
        "error_description": "",
        "out_of_fold_rows": "42000",
    }


def test_a_selected_figure_is_marked_and_promises_nothing(world: World):
    accuracy = {"accuracy": 0.995, "rows": 8_400, "selected": "by callbacks"}
    ready(lambda world: world.make_submission(out_of_fold=accuracy))(world)
    code, printed = world.run("submit")
    assert code == 0
    assert "standard errors" not in printed
    sent = json.loads(world.server.received("CreateSubmission").body)
    assert sent["submissionDescription"] == "default: 6 nets"  # from the provenance
    (entry,) = read_history().to_dict("records")
    assert (entry["out_of_fold"], entry["out_of_fold_rows"]) == ("0.995 (selected)", "8400")
    assert entry["public_score"]
    assert difference(Entry(**entry)) == ""


def test_a_file_that_is_replaced_while_it_is_sent_changes_nothing(world: World):
    """As a `make ensemble` elsewhere does."""
    ready()(world)
    original = submissions.call

    def replaced_meanwhile(*arguments, **settings):
        Path("submissions/default.csv").write_text("another one")
        return original(*arguments, **settings)

    world.monkeypatch.setattr(submissions, "call", replaced_meanwhile)
    assert world.run("submit", "--message", MESSAGE)[0] == 0
    assert world.server.received("upload").body == SUBMISSION
    assert read_history()["sha256"].tolist() == [SUBMISSION_HASH]


def test_the_plain_kaggle_command_sends_the_same_file(world: World):
    ready()(world)
    (told,) = re.findall(r"`.venv/bin/(kaggle .*?)`", (ROOT / "README.md").read_text())
    told = told.replace("submissions/fast.csv", FILE).replace("…", "fast: 6 nets, 99%")
    command = [sys.executable, "-m", *shlex.split(told)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert world.server.received("upload").body == SUBMISSION
    sent = json.loads(world.server.received("CreateSubmission").body)
    assert sent["competitionName"] == COMPETITION
    assert sent["submissionDescription"] == "fast: 6 nets, 99%"


def test_a_score_that_comes_while_another_process_submits_is_shown(world: World):
    ready()(world)
    sent = send(paths.submission_csv("default"), MESSAGE)
    with held(paths.SUBMISSIONS):
        assert wait_for_score(sent).public_score == "0.99000"
    assert "the score is not in the history yet: another process" in world.capsys.readouterr().err
    assert read_history()["status"].tolist() == ["pending"]
    assert world.run("scores")[0] == 0
    assert read_history()["public_score"].tolist() == ["0.99000"]


def full_size(world: World) -> None:
    """A submission of the real size, for a process of its own, which knows of no smaller one."""
    rows = csv_bytes(HEADER, [[number, 0] for number in range(1, 28_001)])
    world.install({**competition_files(), "sample_submission.csv": rows})
    world.make_submission(rows)


@pytest.mark.long
def test_an_interrupted_wait_for_the_score_keeps_the_submission(world: World):
    full_size(world)
    world.answer("ListSubmissions", PENDING)
    stopped = interrupted("submit", lambda: world.server.count("ListSubmissions") > 0)
    assert "no longer waiting; the submission stays" in stopped.stderr
    assert "`make scores` asks again" in stopped.stdout
    assert stopped.returncode == 0
    assert read_history()[["reference", "status"]].values.tolist() == [[str(REFERENCE), "pending"]]


@pytest.mark.long
def test_an_interrupted_confirmation_may_have_been_taken(world: World):
    full_size(world)
    world.answer("CreateSubmission", None)
    stopped = interrupted("submit", lambda: world.server.count("CreateSubmission") > 0)
    assert stopped.returncode == 130
    assert "Kaggle may have accepted it nevertheless" in stopped.stderr
    assert "run it again" not in stopped.stderr
    assert read_history().empty


@pytest.mark.long
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP])
def test_a_submission_that_kaggle_took_is_not_sent_again_after_a_kill(world: World, number: int):
    """It ended while Kaggle's answer was on its way."""
    full_size(world)
    world.answer("CreateSubmission", None)
    stopped = interrupted("submit", lambda: world.server.count("CreateSubmission") > 0, number)
    assert stopped.returncode == (-9 if number == signal.SIGKILL else 128 + number)
    assert ("the next `make submit` or `make scores` asks" in stopped.stderr) == (number != 9)
    world.answer("ListSubmissions", in_list())
    again = run_command("submit", folder=Path.cwd())
    assert again.returncode == 1
    assert is_told(f"{HAS_IT} ... was submitted already", again.stderr)
    assert read_history()["reference"].tolist() == [str(REFERENCE)]
    assert world.server.count("upload") == 1


REASON = 'row 3, "Label":\nnot a number'


def test_the_history_is_a_csv_that_opens_in_a_spreadsheet(world: World):
    failed = Entry("2026-01-03T00:00:00+00:00", "NA", "f" * 64, "", "", "1", "", "error", REASON)
    add_to_history(OLD)
    add_to_history(failed)
    assert paths.SUBMISSION_HISTORY.read_bytes().decode() == (
        "time,file,sha256,config,out_of_fold,reference,public_score,status,error_description,"
        "out_of_fold_rows\n"
        f"2026-01-02T03:04:05+00:00,submissions/old.csv,{SUBMISSION_HASH},old,0.995,{REFERENCE},"
        "0.99000,complete,,42000\n"
        f"2026-01-03T00:00:00+00:00,NA,{'f' * 64},,,1,,error,"
        '"row 3, ""Label"":\nnot a number",\n'
    )
    history = read_history()
    assert [Entry(*row) for row in history.values] == [OLD, failed]
    assert scoreboard(history)["status"].tolist() == [
        "complete",
        'error row 3, "Label": not a number',
    ]


LINE = ",".join(asdict(OLD).values())


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nonsense\n",
        "time,file\n",
        f"{','.join(COLUMNS)}\n{LINE},one cell too many\n",
        f"{','.join(COLUMNS)}\n{LINE}\n{LINE},one cell too many\n",
        f"{','.join(COLUMNS)}\n2026-01-02,half a li",
        f'{",".join(COLUMNS)}\n"{LINE}',
        f"{','.join(COLUMNS)}\n\xff{LINE}\n",
    ],
)
def test_a_damaged_history_is_refused(world: World, text: str):
    paths.SUBMISSIONS.mkdir()
    paths.SUBMISSION_HISTORY.write_bytes(text.encode("latin-1"))
    with pytest.raises(UserError, match="is damaged: expected the columns time, file"):
        read_history()


@pytest.mark.parametrize("end", ["\n", ",,,,,,,,,\n", ",,,\n\n", "\r\n , ,,,,,,,,\r\n"])
@pytest.mark.parametrize("start", ["", "\ufeff"])
def test_a_history_that_a_spreadsheet_saved_is_read(world: World, start: str, end: str):
    paths.SUBMISSIONS.mkdir()
    paths.SUBMISSION_HISTORY.write_text(f"{start}{','.join(COLUMNS)}\n{LINE}\n{end}")
    assert [Entry(*row) for row in read_history().values] == [OLD]
    add_to_history(OLD)
    assert [Entry(*row) for row in read_history().values] == [OLD, OLD]


def test_a_history_with_semicolons_is_told_as_such(world: World):
    paths.SUBMISSIONS.mkdir()
    paths.SUBMISSION_HISTORY.write_text(f"{';'.join(COLUMNS)}\n{LINE.replace(',', ';')}\n")
    with pytest.raises(UserError, match=r"'time;file;sha256.* between semicolons or tabs; save it"):
        read_history()


def test_a_submission_that_a_spreadsheet_saved_is_sent_without_its_mark(world: World):
    ready(lambda world: world.make_submission(b"\xef\xbb\xbf" + SUBMISSION, sha256="f" * 64))(world)
    code, printed = world.run("submit")
    assert code == 0
    assert world.server.received("upload").body == SUBMISSION
    assert (
        "submissions/default.json belongs to another content of submissions/default.csv, so it is "
        "not used"
    ) in printed
    (entry,) = read_history().to_dict("records")
    assert (entry["sha256"], entry["out_of_fold"]) == (SUBMISSION_HASH, "")


@pytest.mark.parametrize(
    ("changes", "shown"),
    [
        ({}, "-9.2"),  # -0.005 / √(0.995 · 0.005 · (1 / 42,000 + 1 / 28,000))
        ({"public_score": "0.99510"}, "+0.2"),
        ({"out_of_fold_rows": "8400"}, "-5.7"),
        ({"out_of_fold_rows": ""}, ""),
        ({"public_score": ""}, ""),
        ({"out_of_fold": "0.995 (selected)"}, ""),
        ({"out_of_fold": "1.0"}, ""),
    ],
)
def test_a_difference_is_shown_in_standard_errors_where_it_is_known(changes: dict, shown: str):
    assert difference(Entry(**asdict(OLD) | changes)) == shown

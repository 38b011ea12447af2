"""What can happen to `make submit`, `scores` and `doctor`, with all that a user may see of it."""

import csv
import errno
import io
from functools import partial

from kaggle_server import REFERENCE, Answer, json_answer, listing, refusal
from kaggle_troubles import shadowed_key, silent_at, unreadable_token
from kaggle_world import (
    GIVEN,
    INSTALLED,
    KEY,
    KEY_FILE,
    SUBMISSION_HASH,
    TOKEN,
    Arrange,
    World,
    all_of,
    answering,
    as_it_is,
    csv_bytes,
    fails,
    no_network,
    setting,
    works,
)

from competition import paths
from competition.kaggle import submit
from competition.kaggle.history import COLUMNS
from competition.kaggle.limits import SCORE
from competition.submission import HEADER


def ready(*changes: Arrange) -> Arrange:
    """The data is installed, and a submission was made from it; then something changes."""
    return all_of(World.install, World.make_submission, *changes)


def holding(rows: list[list], header: list[str] = HEADER) -> Arrange:
    return ready(lambda world: world.make_submission(csv_bytes(header, rows)))


def listed(*answers: Answer) -> Arrange:
    return answering("ListSubmissions", list(answers))


def remembered(status: str, score: str, rows: str = "42000") -> Arrange:
    """The same content was sent before, under another name."""
    values = {
        "time": "2026-01-02T03:04:05+00:00",
        "file": "submissions/old.csv",
        "sha256": SUBMISSION_HASH,
        "config": "old",
        "out_of_fold": "0.995",
        "reference": str(REFERENCE),
        "public_score": score,
        "status": status,
        "out_of_fold_rows": rows,
    }
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerow(values)
    return ready(lambda world: paths.submission_history_csv().write_text(text.getvalue()))


def damaged_history(world: World) -> None:
    ready()(world)
    paths.submission_history_csv().write_text("nonsense\n")


def disk_full_afterwards(world: World) -> None:
    def refuse(entry: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    ready()(world)
    world.monkeypatch.setattr(submit, "append_entry", refuse)


TAKEN = ((str(REFERENCE), "complete", "0.99000"),)
WAITING = ((str(REFERENCE), "pending", ""),)
UNSCORABLE = ((str(REFERENCE), "error", ""),)
KAGGLE_HAS_IT = f"Kaggle has submissions/default.csv as submission {REFERENCE}"
IN_THE_BROWSER = "https://www.kaggle.com/competitions/digit-recognizer/submit"
LOOK_THERE = "It may have been taken nevertheless: look at https://www.kaggle.com/competitions"
SCORED = listing("COMPLETE", publicScore="0.99000")
PENDING = listing("PENDING")
DAILY_LIMIT = "Your team has used its daily Submission allowance (5/5)"

sends = partial(works, command=("submit",), input=GIVEN, asked={"upload": 1})
is_refused = partial(fails, command=("submit",), input=GIVEN, asked={"StartSubmissionUpload": 0})
fails_on_the_way = partial(fails, command=("submit",), input=GIVEN)

SUBMISSIONS = {
    "taken and scored": sends(
        ready(),
        KAGGLE_HAS_IT,
        "public score 0.99000",
        "out of fold 0.995: -9.2 standard errors apart",
        history=TAKEN,
    ),
    "scored after a while": sends(
        ready(listed(PENDING, SCORED)), "public score 0.99000", history=TAKEN
    ),
    "not scored in time": sends(
        ready(setting(**{SCORE: "2"}), listed(PENDING)),
        KAGGLE_HAS_IT,
        "it has no score yet; `make scores` asks again",
        history=WAITING,
    ),
    "not listed": sends(
        ready(setting(**{SCORE: "1"}), listed(json_answer({}))),
        "it has no score yet",
        history=WAITING,
    ),
    "the score cannot be asked for": sends(
        ready(listed(Answer(500))),
        KAGGLE_HAS_IT,
        "the score could not be asked for. Kaggle itself has an error (500)",
        history=WAITING,
    ),
    "Kaggle cannot score it": fails_on_the_way(
        ready(listed(listing("ERROR", errorDescription="Evaluation exception"))),
        KAGGLE_HAS_IT,
        f"could not score submission {REFERENCE}: Evaluation exception",
        history=UNSCORABLE,
    ),
    "sent before": is_refused(
        remembered("complete", "0.99000"),
        "was submitted already, with the same content: submissions/old.csv",
        "public score 0.99000",
        "FORCE=1",
        history=TAKEN,
    ),
    "sent before, FORCE": sends(
        remembered("complete", "0.99000"),
        KAGGLE_HAS_IT,
        command=("submit", "--force"),
        history=(*TAKEN, *TAKEN),
    ),
    "made from other data": is_refused(
        ready(lambda world: world.make_submission(data_set="embedded")),
        "was made from the data set 'embedded'",
    ),
    "no such file": is_refused(
        ready(),
        "there is no submissions/other.csv",
        command=("submit", "--file", "submissions/other.csv"),
    ),
    "no data to check with": is_refused(
        as_it_is, "sample_submission.csv is needed", "`make download` fetches it", input=set()
    ),
    "a wrong header": is_refused(
        holding([[1, 7], [2, 0], [3, 9]], ["id", "label"]), "is expected to be ImageId,Label"
    ),
    "rows missing": is_refused(holding([[1, 7], [2, 0]]), "has 2 rows, but", "asks for 3"),
    "an id twice": is_refused(holding([[1, 7], [2, 0], [2, 9]]), "these come again: 2"),
    "an unknown id": is_refused(holding([[1, 7], [2, 0], [4, 9]]), "has an ImageId 4"),
    "a label that is none": is_refused(
        holding([[1, 7], [2, 0], [3, 10]]), "has the label 10, expected 0 to 9"
    ),
    "a label that is not an integer": is_refused(
        holding([[1, 7], [2, 0], [3, 0.5]]), "line 4: two whole numbers are expected"
    ),
    "a sample of something else": is_refused(
        ready(lambda world: world.put("sample_submission.csv", csv_bytes(HEADER, [[1, 0]]))),
        "sample_submission.csv has 1 rows, but the competition 'digit-recognizer' asks for 3",
    ),
    "a limit that is none": is_refused(ready(setting(**{SCORE: "-1"})), f"{SCORE} is '-1'"),
    "a damaged history": is_refused(
        damaged_history, "history.csv is damaged", "move it away", history=None
    ),
    "a damaged history, FORCE": is_refused(
        damaged_history, "history.csv is damaged", command=("submit", "--force"), history=None
    ),
    "the disk is full when it was taken": fails_on_the_way(
        disk_full_afterwards,
        f"{KAGGLE_HAS_IT}, but the history could not be written (No space left on device)",
        "Do not send it again",
        "https://www.kaggle.com/competitions/digit-recognizer/submissions",
    ),
    "upload refused": fails_on_the_way(
        ready(answering("upload", Answer(400))),
        "upload of submissions/default.csv to Kaggle's storage failed, so nothing was submitted",
        IN_THE_BROWSER,
        asked={"CreateSubmission": 0},
    ),
    "no reference": fails_on_the_way(
        ready(answering("CreateSubmission", json_answer({"message": "Limit reached"}))),
        "Kaggle did not take submissions/default.csv: Limit reached. Nothing was submitted",
        IN_THE_BROWSER,
    ),
    "no reference, but the token": fails_on_the_way(
        ready(answering("CreateSubmission", json_answer({"message": f"not with {TOKEN}"}))),
        "Kaggle did not take submissions/default.csv: not with …",
    ),
    "limit of the day": fails_on_the_way(
        ready(answering("CreateSubmission", refusal(400, DAILY_LIMIT))),
        f"(400: {DAILY_LIMIT})",
        "Nothing was submitted",
        IN_THE_BROWSER,
    ),
    "rules not accepted": fails_on_the_way(
        ready(answering("StartSubmissionUpload", refusal(403, ""))),
        "accept the competition's rules",
    ),
    "no credentials to submit": is_refused(ready(World.without_token), "finds no credentials"),
    "an error after the upload": fails_on_the_way(
        ready(answering("CreateSubmission", Answer(500))), "(500)", LOOK_THERE
    ),
    "silence before the upload": fails_on_the_way(
        ready(silent_at("StartSubmissionUpload")), "the client was asking", "Nothing was submitted"
    ),
    "silence after the upload": fails_on_the_way(
        ready(silent_at("CreateSubmission")),
        "the client was confirming the submission",
        LOOK_THERE,
    ),
}

shows = partial(works, command=("scores",), input=GIVEN)
diagnoses = partial(fails, command=("doctor",), input=INSTALLED)


def open_to_others(world: World) -> None:
    world.keep(".kaggle/kaggle.json", KEY_FILE).chmod(0o644)


ENQUIRIES = {
    "scores of nothing": shows(as_it_is, "nothing was submitted from here yet", input=set()),
    "scores": shows(
        remembered("complete", "0.99000"),
        "| 2026-01-02 03:04:05 | submissions/old.csv | old | 0.995 | 0.99000 | -9.2 | complete |",
        history=TAKEN,
        asked={"IntrospectToken": 0},
    ),
    "scores with fewer rows out of fold": shows(
        remembered("complete", "0.99000", rows="8400"), "| 0.99000 | -5.7 |", history=TAKEN
    ),
    "scores of a history that counts no rows": shows(
        remembered("complete", "0.99000", rows=""),
        "| 0.99000 |  | complete |",
        history=TAKEN,
    ),
    "scores that were pending": shows(
        remembered("pending", ""), "| 0.99000 | -9.2 | complete |", history=TAKEN
    ),
    "scores without a network": shows(
        all_of(remembered("pending", ""), no_network),
        "pending scores could not be asked for. Kaggle cannot be reached",
        "| 0.995 |  |  | pending |",
        history=WAITING,
    ),
    "doctor, all is well": works(
        World.install,
        "the client uses those in the environment variable KAGGLE_API_TOKEN",
        "it accepts the credentials, as those of 'somebody'",
        "accepted: the data of",
        "4 left today",
        "input/digit-recognizer/ is complete",
        "GB are free",
        "AVX-512",
        "AMX bf16",
        "GPU",
        command=("doctor",),
        input=INSTALLED,
    ),
    "doctor, much to mend": diagnoses(
        all_of(shadowed_key, open_to_others),
        "to mend   server        Kaggle refused",
        "(401)",
        "not used, as those come first: ~/.kaggle/kaggle.json",
        "others can read ~/.kaggle/kaggle.json",
        "chmod 600",
        "the data set 'digit-recognizer' is not here",
        "error: to be mended first: server, data",
        input=set(),
    ),
    "doctor, rules not accepted": diagnoses(
        all_of(
            World.install,
            answering("DownloadDataFile", refusal(403, "")),
            answering("GetSubmissionLimits", Answer(404)),
        ),
        "to mend   rules",
        "digit-recognizer/rules",
        "does not tell how many",
    ),
    "doctor, a wrong key": diagnoses(
        all_of(
            World.install,
            World.without_token,
            setting(KAGGLE_USERNAME="me", KAGGLE_KEY=KEY),
            answering("DownloadDataFile", refusal(401, "")),
        ),
        "to mend   server",
        "in the environment variables KAGGLE_USERNAME and KAGGLE_KEY (401)",
    ),
    "doctor, a key without a network": diagnoses(
        all_of(
            World.install,
            World.without_token,
            setting(KAGGLE_USERNAME="me", KAGGLE_KEY=KEY),
            no_network,
        ),
        "to mend   server        Kaggle cannot be reached",
        "to be mended first: server\n",
    ),
    "doctor, a token that cannot be read": diagnoses(
        all_of(World.install, unreadable_token),
        "warning   credentials   the client uses those in ~/.kaggle/access_token. It cannot be",
        "to mend   server",
    ),
    "doctor, in no team yet": works(
        all_of(World.install, answering("GetSubmissionLimits", json_answer({}))),
        "does not tell how many are left today",
        command=("doctor",),
        input=INSTALLED,
    ),
    "doctor, no credentials": diagnoses(
        all_of(World.install, World.without_token),
        "to mend   credentials   The Kaggle client finds no credentials",
        "to be mended first: credentials\n",
    ),
}

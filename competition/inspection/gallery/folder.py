"""The gallery of a run: a page, contact sheets, a table of likely label errors."""

import shutil
from collections.abc import Collection
from pathlib import Path

from competition import paths
from competition.atomic import atomic_folder
from competition.inspection.evaluation.findings import Findings
from competition.inspection.evaluation.label_errors import write_label_errors
from competition.inspection.gallery.page import write_page
from competition.inspection.gallery.sheets import write_sheets


def write_gallery(findings: Findings, all_rows: bool, explained: Collection[int] = ()) -> Path:
    """Writes `output/<config>/gallery/` anew; only exported marks that lie there are kept.

    Args:
        findings: what is shown.
        all_rows: whether the page has every labelled row, or just those worth a look.
        explained: ids of the labelled rows that `make why` has explained.

    Returns:
        The folder.
    """
    final = paths.gallery_folder(findings.name)
    with atomic_folder(final) as folder:
        write_page(folder / paths.PAGE, findings, all_rows, explained)
        write_sheets(folder, findings)
        write_label_errors(folder / paths.LABEL_ERRORS, findings.label_errors, findings.labelled)
        for marks in final.glob(paths.MARKS_PATTERN):
            shutil.copy2(marks, folder / marks.name)
    return final

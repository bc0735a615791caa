"""Open every notebook in a real JupyterLab, run it, and look: ``python -m tests.in_browser``.

Needs Playwright and a Chromium (``nox -s browser`` brings both). A notebook passes if every cell runs, all
tables and figures of its committed outputs are shown, none is wider than the page, a long run shows a bar
of progress, and the browser's console shows no error. Screenshots are for a person to look at.
"""

import argparse
import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"
SETTINGS = {
    # no question about news, and every cell in the page, in sight or not
    "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
    "notebook-extension/tracker": {"windowingMode": "none"},
}
LOOK = """() => {
    const outputs = [...document.querySelectorAll('.jp-Notebook .jp-OutputArea-output')];
    const parts = [...document.querySelectorAll('.jp-Notebook, .jp-Notebook [class*=jp-WindowedPanel]')];
    const wide = outputs.filter(o => o.scrollWidth > o.clientWidth + 1);
    return {
        cells: document.querySelectorAll('.jp-Notebook .jp-CodeCell').length,
        waiting: [...document.querySelectorAll('.jp-Notebook .jp-CodeCell .jp-InputPrompt')]
            .filter(p => !/\\[\\d+\\]/.test(p.textContent)).length,
        errors: [...document.querySelectorAll('.jp-RenderedText[data-mime-type$="jupyter.error"]')]
            .map(e => e.textContent.slice(-300)),
        tables: outputs.filter(o => o.querySelector('table')).length,
        images: outputs.filter(o => [...o.querySelectorAll('img')].some(i => i.naturalWidth > 0)).length,
        bars: document.querySelectorAll('.jp-Notebook .widget-hprogress, .jp-Notebook .progress').length,
        wide: wide.map(o => o.scrollWidth - o.clientWidth + ' pixels: ' + o.textContent.slice(0, 80)),
        height: Math.max(...parts.map(part => part.scrollHeight)),
    };
}"""

LONG_SECONDS = 30  # a notebook that runs longer than this must show a bar of progress meanwhile

TO_THE_TOP = """() => {
    const parts = document.querySelectorAll('.jp-Notebook, .jp-Notebook [class*=jp-WindowedPanel]');
    parts.forEach(part => { part.scrollTop = 0; });
}"""


def main():
    """Drive the notebooks that are named, or all."""
    from playwright.sync_api import sync_playwright  # only this script needs it

    parser = argparse.ArgumentParser(prog="python -m tests.in_browser", description=__doc__)
    parser.add_argument("notebooks", nargs="*", type=Path, help="default: all")
    parser.add_argument("--browser", help="path of a Chromium (default: Playwright's own)")
    parser.add_argument("--screenshots", type=Path, default=Path("screenshots"), help="default: %(default)s")
    parser.add_argument("--minutes", type=float, default=30, help="for one notebook (default: %(default)s)")
    args = parser.parse_args()
    paths = [path.resolve() for path in args.notebooks] or sorted(NOTEBOOKS.rglob("[!.]*.ipynb"))
    args.screenshots.mkdir(parents=True, exist_ok=True)
    failed = 0
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        copies = [_emptied_copy(path, Path(folder)) for path in paths]
        # Chromium refuses to run as root with its sandbox
        sandbox = ["--no-sandbox"] if os.name == "posix" and os.geteuid() == 0 else []
        options = {"args": [*sandbox, "--disable-background-networking", "--disable-component-update"]}
        browser = playwright.chromium.launch(executable_path=args.browser, **options)
        with _JupyterLab(Path(folder)) as lab:
            for path, copy in zip(paths, copies, strict=True):
                problems = _drive(browser, lab.address(copy), path, args)
                failed += bool(problems)
                print(f"{path.name}: {'; '.join(problems) or 'as it should be'}", flush=True)
        browser.close()
    return 1 if failed else 0


def _emptied_copy(path, folder):
    """Copy a notebook without outputs, so that whatever is seen was made by this run; return its name."""
    notebook = json.loads(path.read_text(encoding="utf-8"))
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            cell.update(outputs=[], execution_count=None)
    (folder / path.name).write_text(json.dumps(notebook), encoding="utf-8")
    return path.name


def _committed(path):
    """Count the code cells, and the outputs with a table and with a figure, of a committed notebook."""
    cells = [c for c in json.loads(path.read_text(encoding="utf-8"))["cells"] if c["cell_type"] == "code"]
    shown = [output.get("data", {}) for cell in cells for output in cell["outputs"]]
    return {
        "cells": len(cells),
        "tables": sum("<table" in "".join(data.get("text/html", "")) for data in shown),
        "images": sum("image/png" in data for data in shown),
    }


def _drive(browser, address, path, args):
    """Open a notebook, run all its cells, look at it, take a picture; return what is wrong."""
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    console = []
    page.on("console", lambda message: console.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: console.append(str(error)))
    page.goto(address, wait_until="domcontentloaded")
    page.wait_for_selector(".jp-Notebook .jp-CodeCell", timeout=120_000)
    page.get_by_text("| Idle").wait_for(timeout=120_000)  # the kernel is there
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
    start, bars, seen = time.monotonic(), 0, {"waiting": 1, "errors": []}
    while seen["waiting"] and not seen["errors"] and time.monotonic() < start + 60 * args.minutes:
        page.wait_for_timeout(1_000)
        seen = page.evaluate(LOOK)
        bars = max(bars, seen["bars"])
    seconds = time.monotonic() - start
    page.wait_for_timeout(2_000)  # for the last figure to be drawn
    seen = page.evaluate(LOOK)
    # as tall as its content, so that one picture shows all
    page.set_viewport_size({"width": 1280, "height": min(seen["height"] + 200, 16_000)})
    page.evaluate(TO_THE_TOP)
    page.wait_for_timeout(500)
    page.screenshot(path=args.screenshots / f"{path.stem}.png")
    page.close()
    waited = [f"no bar in {seconds:.0f} seconds"] if seconds > LONG_SECONDS and not bars else []
    return [*_missing(seen, _committed(path)), *waited, *(f"console: {text[:200]}" for text in console)]


def _missing(seen, committed):
    """Say in which respects what is seen is not what is committed."""
    problems = [f"error: {text}" for text in seen["errors"]]
    if seen["waiting"]:
        problems.append(f"{seen['waiting']} cells did not run")
    problems += [
        f"{seen[what]} {what} instead of {expected}"
        for what, expected in committed.items()
        if seen[what] != expected
    ]
    return [*problems, *(f"too wide by {text}" for text in seen["wide"])]


class _JupyterLab:
    """A JupyterLab server on this machine, as a context."""

    def __init__(self, folder):
        self.folder, self.token = folder, secrets.token_hex(16)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]

    def address(self, name):
        """Return the address of a notebook in a workspace of its own."""
        stem = name.removesuffix(".ipynb")
        return f"http://127.0.0.1:{self.port}/lab/workspaces/{stem}/tree/{name}?token={self.token}"

    def __enter__(self):
        settings = Path(tempfile.mkdtemp())
        for name, values in SETTINGS.items():
            place = settings / "@jupyterlab" / f"{name}.jupyterlab-settings"
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(json.dumps(values), encoding="utf-8")
        command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--ip=127.0.0.1", "--allow-root"]
        command += [
            f"--port={self.port}",
            "--ServerApp.port_retries=0",
            f"--IdentityProvider.token={self.token}",
        ]
        self.settings, environment = settings, {**os.environ, "JUPYTERLAB_SETTINGS_DIR": str(settings)}
        self.log = tempfile.TemporaryFile()
        self.server = subprocess.Popen(
            command, cwd=self.folder, env=environment, stdout=self.log, stderr=subprocess.STDOUT
        )
        until = time.monotonic() + 120
        while True:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{self.port}/api?token={self.token}", timeout=5)
                return self
            except OSError:
                if self.server.poll() is not None or time.monotonic() > until:
                    self.log.seek(0)
                    raise RuntimeError(f"JupyterLab did not start: {self.log.read().decode()}") from None
                time.sleep(0.5)

    def __exit__(self, *exception):
        self.server.terminate()
        self.server.wait(60)
        self.log.close()
        shutil.rmtree(self.settings)


if __name__ == "__main__":
    sys.exit(main())

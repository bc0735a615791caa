"""Downloads that go wrong: cut, replaced by a page, killed, or damaged later."""

import bz2
import hashlib
import http.server
import json
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from adathresh.datasets import downloads, load_dataset
from adathresh.datasets.downloads import SOURCES, Source, fetch
from adathresh.datasets.formats import DatasetError

TRAIN, TEST = "yeast_train.svm.bz2", "yeast_test.svm.bz2"
PAGE = b"<!DOCTYPE html><html><body><form>Please log in</form></body></html>\n"


class Publisher(http.server.ThreadingHTTPServer):
    """Serves what ``content`` holds, badly where told so."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Handler)
        train = "".join(f"{i % 3},{i % 4 + 3} {i % 9 + 1}:{i + 1}\n" for i in range(2000))
        self.content = {TRAIN: bz2.compress(train.encode()), TEST: bz2.compress(b"0 1:1\n1 2:1\n")}
        self.cut_at, self.stop_at, self.asked = {}, {}, []
        self.url = f"http://127.0.0.1:{self.server_port}/"


class _Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        name = self.path.lstrip("/")
        self.server.asked.append(name)
        body = self.server.content.get(name)
        if body is None:
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if name in self.server.stop_at:
            self.wfile.write(body[: self.server.stop_at[name]])
            self.wfile.flush()
            time.sleep(60)  # until the client goes
        self.wfile.write(body[: self.server.cut_at.get(name)])

    def log_message(self, *args):
        pass


@pytest.fixture
def publisher(monkeypatch):
    with Publisher() as running:
        running.daemon_threads = True
        running.block_on_close = False
        threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True).start()
        monkeypatch.setattr(downloads, "BASE_URL", running.url)
        yield running
        running.shutdown()


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "yeast"


def recorded(folder):
    return json.loads((folder / "source.json").read_text()) if (folder / "source.json").exists() else {}


def assert_whole(publisher, folder):
    """Everything is there, as it was sent, and nothing else."""
    assert sorted(os.listdir(folder / "downloads")) == sorted([TRAIN, TEST])
    for name, entry in recorded(folder).items():
        body = publisher.content[name]
        assert entry["sha256"] == hashlib.sha256(body).hexdigest()
        assert entry["bytes"] == len(body)
    assert len(recorded(folder)) == 2
    dataset = load_dataset("yeast", data_dir=folder.parent)
    assert dataset.train.X.shape[0] + dataset.validation.X.shape[0] == 2000


def test_a_cut_download_leaves_nothing_and_the_next_one_succeeds(publisher, folder):
    publisher.cut_at[TRAIN] = len(publisher.content[TRAIN]) // 2
    with pytest.raises(DatasetError, match=r"yeast_train\.svm\.bz2 (was cut off|cannot be downloaded)"):
        fetch("yeast", folder.parent, progress=False)
    assert not os.listdir(folder / "downloads")
    assert not recorded(folder)
    publisher.cut_at.clear()
    fetch("yeast", folder.parent, progress=False)
    assert_whole(publisher, folder)


def test_a_cut_download_is_noticed_whatever_the_library_says(publisher, folder, monkeypatch):
    class Trusting:
        """Takes the end of the connection for the end of the file."""

        def __init__(self, progressbar, headers):
            self.progressbar = progressbar

        def __call__(self, url, path, _):
            body = publisher.content[url.removeprefix(publisher.url)]
            self.progressbar.total = len(body)
            self.progressbar.update(10)
            with open(path, "wb") as file:
                file.write(body[:-7])

    monkeypatch.setattr(downloads.pooch, "HTTPDownloader", Trusting)
    size = len(publisher.content[TRAIN])
    with pytest.raises(DatasetError, match=f"was cut off after {size - 7:,} of {size:,} bytes"):
        fetch("yeast", folder.parent, progress=False)
    assert not os.listdir(folder / "downloads")


@pytest.mark.parametrize("body", [PAGE, b"", bz2.compress(PAGE), bz2.compress(b"\n\n"), bz2.compress(b"")])
def test_a_page_in_place_of_the_file_leaves_nothing_and_the_next_one_succeeds(publisher, folder, body):
    whole, publisher.content[TEST] = publisher.content[TEST], body
    with pytest.raises(
        DatasetError, match=r"yeast_test\.svm\.bz2 did not send the data set .*try again later"
    ):
        fetch("yeast", folder.parent, progress=False)
    assert os.listdir(folder / "downloads") == [TRAIN]
    assert list(recorded(folder)) == [TRAIN]
    publisher.content[TEST] = whole
    fetch("yeast", folder.parent, progress=False)
    assert_whole(publisher, folder)
    assert publisher.asked.count(TRAIN) == 1


@pytest.mark.parametrize("body", [PAGE, bz2.compress(PAGE), bz2.compress(b"")])
def test_a_page_in_place_of_texts(publisher, tmp_path, body):
    publisher.content["eurlex57k_raw_texts_train.txt.bz2"] = body
    with pytest.raises(DatasetError, match="did not send the data set"):
        fetch("eurlex57k", tmp_path, progress=False)
    assert not os.listdir(tmp_path / "eurlex57k" / "downloads")


def test_a_page_that_was_recorded_earlier_is_fetched_anew(publisher, folder):
    (folder / "downloads").mkdir(parents=True)
    (folder / "downloads" / TEST).write_bytes(PAGE)
    known = {TEST: {"url": "", "sha256": hashlib.sha256(PAGE).hexdigest(), "bytes": len(PAGE)}}
    (folder / "source.json").write_text(json.dumps(known))
    fetch("yeast", folder.parent, progress=False)
    assert_whole(publisher, folder)


def test_a_file_put_there_by_hand_is_read_and_recorded(publisher, folder):
    (folder / "downloads").mkdir(parents=True)
    (folder / "downloads" / TRAIN).write_bytes(publisher.content[TRAIN])
    (folder / "downloads" / TEST).write_bytes(PAGE)  # that is not it
    fetch("yeast", folder.parent, progress=False)
    assert publisher.asked == [TEST]
    assert_whole(publisher, folder)


def test_a_replaced_file_is_refused_and_the_old_one_stays(publisher, folder):
    fetch("yeast", folder.parent, progress=False)
    whole = publisher.content[TEST]
    publisher.content[TEST] = bz2.compress(b"0 1:2\n1 2:1\n")
    path = folder / "downloads" / TEST
    path.write_bytes(whole[:-3])
    with pytest.raises(DatasetError, match="is not the file whose checksum"):
        fetch("yeast", folder.parent, progress=False)
    assert path.read_bytes() == whole[:-3]
    publisher.content[TEST] = whole
    fetch("yeast", folder.parent, progress=False)
    assert_whole(publisher, folder)


def test_a_checksum_that_is_known_beforehand_is_required_of_the_first_download(
    publisher, folder, monkeypatch
):
    right = {"train": hashlib.sha256(publisher.content[TRAIN]).hexdigest(), "test": "0" * 64}
    files = {"train": TRAIN, "test": TEST}
    monkeypatch.setitem(SOURCES, "yeast", Source(description="Genes.", files=files, sha256=right))
    with pytest.raises(DatasetError, match=r"yeast_test.* is not the file that is known under this name"):
        fetch("yeast", folder.parent, progress=False)
    assert os.listdir(folder / "downloads") == [TRAIN]
    right["test"] = hashlib.sha256(publisher.content[TEST]).hexdigest()
    fetch("yeast", folder.parent, progress=False)
    assert_whole(publisher, folder)


def test_the_official_files_must_have_the_rows_that_the_publisher_states(publisher, folder, monkeypatch):
    monkeypatch.setattr(downloads, "OFFICIAL_URL", publisher.url)
    files = {"train": TRAIN, "test": TEST}
    for n_rows, message in ((2001, "has 2000 rows, not 2001: it was cut"), (2000, None)):
        source = Source(description="Genes.", files=files, rows={"train": n_rows})
        monkeypatch.setitem(SOURCES, "yeast", source)
        if message:
            with pytest.raises(DatasetError, match=message):
                fetch("yeast", folder.parent, progress=False)
        else:
            fetch("yeast", folder.parent, progress=False)
    assert_whole(publisher, folder)


def test_a_file_is_taken_with_any_rows_where_none_are_known(publisher, folder, monkeypatch):
    monkeypatch.setattr(downloads, "OFFICIAL_URL", publisher.url)
    monkeypatch.setitem(SOURCES, "yeast", Source(description="Genes.", files={"train": TRAIN, "test": TEST}))
    fetch("yeast", folder.parent, progress=False)
    assert_whole(publisher, folder)


def test_rows_are_known_of_parts_that_exist():
    assert any(source.rows for source in SOURCES.values())
    for source in SOURCES.values():
        assert source.rows.keys() <= source.files.keys()


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b'"text"', b'{"yeast_train.svm.bz2": 1}', b"\xff\xfe", b"[" * 100_000]
)
def test_a_damaged_record_is_named_and_left_as_it_is(publisher, folder, content):
    fetch("yeast", folder.parent, progress=False)
    record = folder / "source.json"
    record.write_bytes(content)
    with pytest.raises(DatasetError, match=r"source\.json is damaged.*Remove it, and they are read and rec"):
        fetch("yeast", folder.parent, progress=False)
    assert record.read_bytes() == content
    record.unlink()
    (folder / "train.txt.gz").unlink()
    fetch("yeast", folder.parent, progress=False)
    assert_whole(publisher, folder)


PROGRAM = """
import sys
from adathresh.datasets import downloads
downloads.BASE_URL = sys.argv[1]
downloads.fetch("yeast", sys.argv[2], progress=False)
"""


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="SIGKILL")
def test_a_killed_download_leaves_nothing_after_the_next_one(publisher, folder):
    publisher.content[TRAIN] = bz2.compress(b"".join(b"0 1:%d\n" % (i * i) for i in range(50_000)))
    publisher.stop_at[TRAIN] = 40_000
    command = [sys.executable, "-c", PROGRAM, publisher.url, str(folder.parent)]
    with subprocess.Popen(command) as process:
        while not [path for path in folder.glob("downloads/.*") if path.stat().st_size]:
            assert process.poll() is None
            time.sleep(0.05)
        # Meanwhile another one is told to wait, and takes nothing away.
        with pytest.raises(DatasetError, match="another process is fetching this data set; wait for it"):
            fetch("yeast", folder.parent, progress=False)
        process.send_signal(signal.SIGKILL)
    left = os.listdir(folder / "downloads")
    assert len(left) == 1
    publisher.stop_at.clear()
    fetch("yeast", folder.parent, progress=False)
    assert sorted(os.listdir(folder / "downloads")) == sorted([TRAIN, TEST])


def test_a_full_disk_is_named(publisher, folder, monkeypatch):
    class Full:
        def __init__(self, **_):
            pass

        def __call__(self, url, path, _):
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(downloads.pooch, "HTTPDownloader", Full)
    with pytest.raises(OSError, match=r"No space left on device: '.*yeast_train\.svm\.bz2'"):
        fetch("yeast", folder.parent, progress=False)

import http.client
import os
import pickle
import resource
import threading
from pathlib import Path

import pytest

from xlnu.errors import Halt, UserError
from xlnu.store import UNFINISHED, Store


def test_write_read_list_delete(store_uri: str) -> None:
    store = Store(store_uri)
    store.write("a/b.bin", b"one")
    store.write("a/b.bin", b"other")
    store.write("a/c/d.bin", b"")
    store.write("ab.bin", b"beside")
    assert store.read("a/b.bin") == b"other"
    assert [(e.name, e.size) for e in store.list("a")] == [("a/b.bin", 5), ("a/c/d.bin", 0)]
    assert store.list("nothing/here") == []
    store.delete("a/b.bin")
    store.delete("a/b.bin")
    with pytest.raises(FileNotFoundError):
        store.read("a/b.bin")
    assert [e.name for e in store.list("")] == ["a/c/d.bin", "ab.bin"]
    store.delete_folder("a")
    store.delete_folder("a")
    assert [e.name for e in store.list("")] == ["ab.bin"]


def test_a_worker_gets_the_same_store(store_uri: str) -> None:
    pickle.loads(pickle.dumps(Store(store_uri))).write("from/worker", b"x")
    assert Store(store_uri).read("from/worker") == b"x"


def test_a_write_that_fails_is_said_in_one_line_and_leaves_nothing_half_written(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    store.write("part", b"before")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))  # the kernel refuses to write on, as on a full disk
    try:
        with pytest.raises(Halt) as caught:
            store.write("part", b"after" * 100)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert str(caught.value) == (
        f"{tmp_path}/part: cannot be written: File too large; "
        "what is finished is kept: mend it and run the same command again"
    )
    assert (tmp_path / "part").read_bytes() == b"before"
    assert not list(tmp_path.glob(UNFINISHED + "*"))


def test_a_listing_bears_a_folder_that_comes_and_goes(tmp_path: Path) -> None:
    """What pyarrow's own listing of a folder does not: it looks whether the folder is there, then again."""
    store, done, folder = Store(str(tmp_path)), threading.Event(), tmp_path / "a"

    def stir() -> None:
        for _ in range(10_000):
            folder.mkdir()
            folder.rmdir()
        done.set()

    stirring = threading.Thread(target=stir)
    stirring.start()
    try:
        while not done.is_set():
            assert store.list("a") == []
    finally:
        stirring.join()


def test_what_cannot_be_listed_is_not_empty(tmp_path: Path) -> None:
    """An empty answer would let two drivers in, and do all work again. Here: no file descriptor is left."""
    store = Store(str(tmp_path))
    store.write("a/b", b"x")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
    try:
        with pytest.raises(Halt, match="cannot be listed: Too many open files"):
            store.list("a")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_touch_makes_and_renews(store_uri: str) -> None:
    store = Store(store_uri)
    store.touch("a/b")
    if store.local:
        os.utime(Path(store.root, "a/b"), (1, 1))
    store.touch("a/b")
    (entry,) = store.list("a")
    assert (entry.name, entry.size) == ("a/b", 0)
    assert entry.written > 1e9


def test_home_and_odd_names_are_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    Store("~/a?b").write("c", b"x")
    assert (tmp_path / "a?b/c").exists()
    assert Store("~/a?b").place("c") == "~/a?b/c"


def test_an_odd_prefix_is_one_line(s3: str) -> None:
    with pytest.raises(Halt, match="cannot be "):
        Store(s3.replace("some/prefix", "/some//prefix")).check(writable=True)


def test_keys_that_may_not_look_at_the_bucket_may_still_use_a_prefix(s3_server: str) -> None:
    """As S3 answers keys that are limited to a prefix: 403 to a look at the bucket, all else allowed."""
    asking = http.client.HTTPConnection(s3_server)
    asking.request("PUT", "/prefix-only")
    assert asking.getresponse().status == 200
    asking.close()
    store = Store(f"s3://prefix-only/some?endpoint_override={s3_server}&scheme=http&region=us-east-1")
    store.check(writable=False)
    store.check(writable=True)
    store.write("a", b"x")
    assert store.read("a") == b"x"


def test_secrets_of_the_uri_stay_out_of_messages(s3: str) -> None:
    store = Store(s3)
    assert "?" not in store.place("x")
    assert store.place("x").endswith("/some/prefix/x")


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("s4://bucket/x", "'s4://bucket/x': cannot be opened: Unrecognized filesystem type in URI"),
        ("s3://?region=us-east-1", "s3://: names no bucket or folder; give one, as s3://bucket/prefix"),
        ("s3://key:secret@bucket/x", "a URI may not hold keys or an @, for it is saved with every run"),
        ("s3://key:sec/ret@bucket/x", "a URI may not hold keys or an @, for it is saved with every run"),
        ("", "'' is neither a folder nor a URI such as s3://bucket/prefix"),
        ("s3:/bucket/x", "'s3:/bucket/x' is neither a folder nor a URI such as s3://bucket/prefix"),
        ("a\udcff", "'a\\udcff': cannot be opened: 'utf-8' codec"),
        (__file__, f"{__file__}: is a file; a store is a folder or a prefix on object storage"),
    ],
)
def test_what_is_no_store(uri: str, message: str) -> None:
    with pytest.raises(UserError) as caught:
        Store(uri)
    assert str(caught.value).startswith(message)
    assert "ret@" not in str(caught.value)


def test_a_bucket_that_is_not_there_is_found_before_any_work(s3: str) -> None:
    for writable in (True, False):
        with pytest.raises(Halt, match=r"^s3://none/some/prefix: there is no bucket none$"):
            Store(s3.replace(s3.split("/")[2], "none")).check(writable)


def test_checking_leaves_nothing(store_uri: str) -> None:
    store = Store(store_uri)
    store.check(writable=False)
    store.check(writable=True)
    assert store.list("") == []


def test_a_name_that_looks_compressed_changes_nothing(store_uri: str) -> None:
    """pyarrow's streams guess a compression from the name, for writing and for reading."""
    import gzip

    store, data = Store(store_uri), gzip.compress(b"some text")
    store.write("a.gz", data)
    assert store.read("a.gz") == data
    (entry,) = store.list("")
    assert entry.size == len(data)

"""Films of any name, once each."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from agent.base.errors import CaptureError
from agent.desk.films.find import find, page_of


def touch(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x")
    return path


def test_films_of_one_name_in_two_folders_do_not_collide(tmp_path: Path) -> None:
    touch(tmp_path / "a" / "talk.mp4")
    touch(tmp_path / "b" / "talk.mp4")
    found = find([tmp_path / "a", tmp_path / "b"], tmp_path / "out").films
    assert [film.label for film in found] == ["talk.mp4", "talk.mp4"]
    assert len({film.page for film in found}) == 2
    below = find([tmp_path], tmp_path / "out").films
    assert [film.label for film in below] == ["a/talk.mp4", "b/talk.mp4"]
    assert [film.page for film in below] == [film.page for film in found]


def test_loops_links_and_the_output_itself_are_no_trap(tmp_path: Path) -> None:
    film = touch(tmp_path / "in" / "one.mkv")
    (tmp_path / "in" / "again.mkv").symlink_to(film)
    (tmp_path / "in" / "round").symlink_to(tmp_path / "in", target_is_directory=True)
    (tmp_path / "in" / "gone.mp4").symlink_to(tmp_path / "nowhere")
    os.mkfifo(tmp_path / "in" / "pipe.mp4")
    touch(tmp_path / "in" / ".hidden.mp4")
    touch(tmp_path / "in" / "notes.txt")
    touch(tmp_path / "in" / "out" / "old.mp4")
    found = find([tmp_path / "in", film], tmp_path / "in" / "out")
    assert [f.label for f in found.films] == ["again.mkv"]
    assert sorted(label for label, _ in found.problems) == ["gone.mp4", "pipe.mp4"]
    assert found.others == 1


@pytest.mark.parametrize(
    "name",
    [b"caf\xe9.mp4", "ねこ.mp4".encode(), b"a\nb\t.mp4", b"=1+1.mp4", b"<b>.mp4", b"-x.mp4",
     b"'\".mp4", b"\xe2\x80\xae4pm.mp4", b"x" * 250 + b".mp4"],
)  # fmt: skip
def test_every_name_has_a_label_that_shows_and_a_page_in_ascii(tmp_path: Path, name: bytes) -> None:
    path = Path(os.fsdecode(os.path.join(os.fsencode(tmp_path), name)))
    path.write_bytes(b"x")
    (film,) = find([tmp_path], tmp_path / "out").films
    assert film.path == path
    assert film.label.isprintable()
    assert film.label.encode("utf-8")
    assert film.label[0] not in "=+-@"
    assert film.page.isascii()
    assert len(film.page) < 60
    assert film.page.replace("-", "").isalnum()


def test_a_named_file_may_be_called_anything_and_a_camera_is_refused(tmp_path: Path) -> None:
    odd = touch(tmp_path / "recording.bin")
    assert [film.path for film in find([odd], tmp_path / "out").films] == [odd]
    for camera in ("0", "/dev/video0", "rtsp://camera/1"):
        with pytest.raises(CaptureError, match="live source"):
            find([Path(camera)], tmp_path / "out")
    missing = find([tmp_path / "nothing.mp4"], tmp_path / "out")
    assert missing.films == []
    assert "No such file" in missing.problems[0][1]
    empty = find([tmp_path], tmp_path / "out")
    assert "holds no film" in empty.problems[0][1]


def test_a_page_is_of_one_place() -> None:
    assert page_of("/a/Größe 3.mp4").startswith("gro-e-3-") or page_of("/a/Größe 3.mp4").startswith(
        "gro"
    )
    assert page_of("/a/x.mp4") != page_of("/b/x.mp4")
    assert page_of("/a/....mp4").startswith("film-")

"""Files that come into a folder: each is told once it is complete, once for each content."""

from store.watch import arrivals


class Folder:
    """A watched folder and a clock that only the test moves."""

    def __init__(self, path):
        self.path, self.seen, self.now = path, {}, 0.0

    def put(self, name, text):
        target = self.path / name
        target.parent.mkdir(exist_ok=True)
        target.write_text(text)

    def after(self, seconds):
        self.now += seconds
        return [path.name for path in arrivals(self.path, self.seen, 2.0, lambda: self.now)]


def test_a_file_is_told_once_it_was_left_alone_and_only_once(tmp_path):
    folder = Folder(tmp_path)
    folder.put("a.csv", "1")
    assert [folder.after(s) for s in (0, 1, 1, 5)] == [[], [], ["a.csv"], []]


def test_a_file_that_is_still_written_is_waited_for(tmp_path):
    folder = Folder(tmp_path)
    folder.put("a.csv", "1")
    assert folder.after(0) == []
    for length in range(2, 6):
        folder.put("a.csv", "1" * length)
        assert folder.after(1.5) == []
    assert folder.after(2) == ["a.csv"]


def test_a_file_that_changes_is_told_again(tmp_path):
    folder = Folder(tmp_path)
    folder.put("a.csv", "1")
    assert [folder.after(s) for s in (0, 2)] == [[], ["a.csv"]]
    folder.put("a.csv", "12")
    assert [folder.after(s) for s in (0, 2, 2)] == [[], ["a.csv"], []]


def test_a_file_that_went_and_came_back_is_a_new_one(tmp_path):
    folder = Folder(tmp_path)
    folder.put("a.csv", "1")
    assert [folder.after(s) for s in (0, 2)] == [[], ["a.csv"]]
    (tmp_path / "a.csv").unlink()
    assert folder.after(1) == []
    folder.put("a.csv", "1")
    assert [folder.after(s) for s in (0, 2)] == [[], ["a.csv"]]


def test_subfolders_are_searched_and_other_files_left_alone(tmp_path):
    folder = Folder(tmp_path)
    folder.put("in/b.csv", "1")
    folder.put("notes.md", "1")
    folder.put(".a.csv", "1")
    assert [folder.after(s) for s in (0, 2)] == [[], ["b.csv"]]


def test_an_empty_and_a_missing_folder_have_none(tmp_path):
    assert Folder(tmp_path).after(0) == []
    assert Folder(tmp_path / "no").after(0) == []

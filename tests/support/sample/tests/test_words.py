import unittest

from textkit import words


class Lines(unittest.TestCase):
    def test_blank_lines_are_left_out(self):
        self.assertEqual(words.lines("a\n\n  \nb\n"), ["a", "b"])


class CountWords(unittest.TestCase):
    def test_case_and_punctuation_do_not_matter(self):
        counts = words.count_words("The cat, the hat; and THE end.")
        self.assertEqual(counts, {"the": 3, "cat": 1, "hat": 1, "and": 1, "end": 1})

    def test_apostrophes_belong_to_words(self):
        self.assertEqual(words.count_words("don't 'stop' don't"), {"don't": 2, "stop": 1})

    def test_nothing(self):
        self.assertEqual(words.count_words(" \n"), {})


class MostCommon(unittest.TestCase):
    def test_ties_are_in_alphabetical_order(self):
        text = "b a c b a d"
        self.assertEqual(words.most_common(text, 3), [("a", 2), ("b", 2), ("c", 1)])


if __name__ == "__main__":
    unittest.main()

import unittest
from decimal import Decimal

from textkit.money import format_price, round_price


class RoundPrice(unittest.TestCase):
    def test_whole_cents_stay(self):
        self.assertEqual(round_price("19.99"), Decimal("19.99"))

    def test_half_a_cent_goes_up(self):
        self.assertEqual(round_price("2.675"), Decimal("2.68"))
        self.assertEqual(round_price("0.005"), Decimal("0.01"))

    def test_less_than_half_goes_down(self):
        self.assertEqual(round_price("2.674"), Decimal("2.67"))


class FormatPrice(unittest.TestCase):
    def test_thousands(self):
        self.assertEqual(format_price(1234.5), "1,234.50 EUR")

    def test_currency(self):
        self.assertEqual(format_price("0.999", "USD"), "1.00 USD")


if __name__ == "__main__":
    unittest.main()

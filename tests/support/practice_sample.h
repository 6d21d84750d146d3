/* What the practice model knows by heart: the two tasks of tests/support/sample, each
 * in two ways, so that two agents do not write the same. */
#ifndef SUPPORT_PRACTICE_SAMPLE_H
#define SUPPORT_PRACTICE_SAMPLE_H

struct play {
	const char *title; /* in the task's prompts */
	const char *file;
	const char *test;
	const char *instruct[2]; /* the manager's words, which choose the way */
	const char *done[2];	 /* what aider says before the file */
	const char *before;	 /* the whole file before the edit */
	const char *text[2];	 /* the whole file after the edit */
	const char *commit[2];
	const char *pr_title, *pr_body, *label;
};

static const char play_money_before[] =
	"\"\"\"Prices as people write them.\"\"\"\n"
	"\n"
	"from decimal import ROUND_DOWN, Decimal\n"
	"\n"
	"CENT = Decimal(\"0.01\")\n"
	"\n"
	"\n"
	"def round_price(amount):\n"
	"    \"\"\"The amount in whole cents.\"\"\"\n"
	"    return Decimal(str(amount)).quantize(CENT, rounding=ROUND_DOWN)\n"
	"\n"
	"\n"
	"def format_price(amount, currency=\"EUR\"):\n"
	"    \"\"\"`format_price(1234.5)` is `1,234.50 EUR`.\"\"\"\n"
	"    return f\"{round_price(amount):,.2f} {currency}\"\n";

static const char play_words_before[] =
	"\"\"\"Small questions about a text.\"\"\"\n"
	"\n"
	"\n"
	"def lines(text):\n"
	"    \"\"\"The lines of a text that are not blank.\"\"\"\n"
	"    return [line for line in text.splitlines() if line.strip()]\n";

static const char play_money_a[] =
	"\"\"\"Prices as people write them.\"\"\"\n"
	"\n"
	"from decimal import ROUND_HALF_UP, Decimal\n"
	"\n"
	"CENT = Decimal(\"0.01\")\n"
	"\n"
	"\n"
	"def round_price(amount):\n"
	"    \"\"\"The amount in whole cents; half a cent goes up.\"\"\"\n"
	"    return Decimal(str(amount)).quantize(CENT, rounding=ROUND_HALF_UP)\n"
	"\n"
	"\n"
	"def format_price(amount, currency=\"EUR\"):\n"
	"    \"\"\"`format_price(1234.5)` is `1,234.50 EUR`.\"\"\"\n"
	"    return f\"{round_price(amount):,.2f} {currency}\"\n";

static const char play_words_a[] =
	"\"\"\"Small questions about a text.\"\"\"\n"
	"\n"
	"import re\n"
	"from collections import Counter\n"
	"\n"
	"WORD = re.compile(r\"[a-z0-9]+(?:'[a-z0-9]+)*\")\n"
	"\n"
	"\n"
	"def lines(text):\n"
	"    \"\"\"The lines of a text that are not blank.\"\"\"\n"
	"    return [line for line in text.splitlines() if line.strip()]\n"
	"\n"
	"\n"
	"def count_words(text):\n"
	"    \"\"\"How often each word occurs; case and punctuation do not matter.\"\"\"\n"
	"    return dict(Counter(WORD.findall(text.lower())))\n"
	"\n"
	"\n"
	"def most_common(text, n):\n"
	"    \"\"\"The n most frequent words with their counts, ties in alphabetical order.\"\"\"\n"
	"    counts = count_words(text)\n"
	"    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:n]\n";

static const char play_money_b[] =
	"\"\"\"Prices as people write them.\"\"\"\n"
	"\n"
	"from decimal import ROUND_HALF_UP, Decimal\n"
	"\n"
	"CENT = Decimal(\"0.01\")\n"
	"ROUNDING = ROUND_HALF_UP  # what shops do: 2.675 is 2.68\n"
	"\n"
	"\n"
	"def round_price(amount):\n"
	"    \"\"\"The amount in whole cents, rounded as ROUNDING says.\"\"\"\n"
	"    exact = Decimal(str(amount))\n"
	"    return exact.quantize(CENT, rounding=ROUNDING)\n"
	"\n"
	"\n"
	"def format_price(amount, currency=\"EUR\"):\n"
	"    \"\"\"`format_price(1234.5)` is `1,234.50 EUR`.\"\"\"\n"
	"    return f\"{round_price(amount):,.2f} {currency}\"\n";

static const char play_words_b[] =
	"\"\"\"Small questions about a text.\"\"\"\n"
	"\n"
	"import string\n"
	"\n"
	"PUNCTUATION = string.punctuation + \"“”‘’…\"\n"
	"\n"
	"\n"
	"def lines(text):\n"
	"    \"\"\"The lines of a text that are not blank.\"\"\"\n"
	"    return [line for line in text.splitlines() if line.strip()]\n"
	"\n"
	"\n"
	"def count_words(text):\n"
	"    \"\"\"How often each word occurs; case and punctuation around it do not "
	"matter.\"\"\"\n"
	"    counts = {}\n"
	"    for part in text.lower().split():\n"
	"        word = part.strip(PUNCTUATION)\n"
	"        if word:\n"
	"            counts[word] = counts.get(word, 0) + 1\n"
	"    return counts\n"
	"\n"
	"\n"
	"def most_common(text, n):\n"
	"    \"\"\"The n most frequent words with their counts, ties in alphabetical order.\"\"\"\n"
	"    ranked = sorted(count_words(text).items())\n"
	"    ranked.sort(key=lambda item: item[1], reverse=True)\n"
	"    return ranked[:n]\n";

static const struct play plays[] = {
	{
		.title = "Fix the rounding of prices",
		.file = "textkit/money.py",
		.test = "python3 -m unittest -q tests.test_money",
		.instruct = {"Make round_price in textkit/money.py round half a cent up, with the "
			     "decimal module's own rounding mode.",
			"Make round_price in textkit/money.py round half a cent up, and keep the "
			"rounding mode in a constant with a name."},
		.done = {"`round_price` cut amounts off because it quantized with `ROUND_DOWN`. "
			 "`ROUND_HALF_UP` is what the tests ask for.",
			"The rounding mode becomes a named constant, `ROUNDING`, and half a cent "
			"goes up."},
		.before = play_money_before,
		.text = {play_money_a, play_money_b},
		.commit = {"fix: round half a cent up",
			"fix: name the rounding of prices, half up"},
		.pr_title = "Round half a cent up",
		.pr_body =
			"`round_price` cut amounts off, so 2.675 became 2.67. Half a cent now goes "
			"up.\n\nTested with `python3 -m unittest -q tests.test_money`.",
		.label = "bug",
	},
	{
		.title = "Count the words of a text",
		.file = "textkit/words.py",
		.test = "python3 -m unittest -q tests.test_words",
		.instruct = {"Add count_words and most_common to textkit/words.py, with a regular "
			     "expression and collections.Counter.",
			"Add count_words and most_common to textkit/words.py in plain Python, "
			"without a regular expression."},
		.done = {"A regular expression finds the words, with apostrophes inside them, and "
			 "`Counter` counts them.",
			"The text is split at white space and punctuation is stripped from each "
			"part, so no regular expression is needed."},
		.before = play_words_before,
		.text = {play_words_a, play_words_b},
		.commit = {"feat: count words with a regular expression",
			"feat: count words in plain Python"},
		.pr_title = "Count the words of a text",
		.pr_body =
			"`count_words` and `most_common` are new in `textkit/words.py`.\n\nTested "
			"with `python3 -m unittest -q tests.test_words`.",
		.label = "enhancement",
	},
};

#endif

"""Make the sample of mails and the small tokenizer that the examples, the tests and the docs use.

    python examples/data/make_sample.py path/to/mail.parquet

The path is that of the whole corpus; README.md beside this file says what it is. The same corpus and the
versions in constraints.txt give the same files.
"""

import json
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

FOLDER = Path(__file__).parent
EVERY = 15  # each group of mails keeps its share, and the order of the corpus stays
ROWS_PER_GROUP = 64  # several row groups, so that a scan of the sample has something to divide
VOCABULARY_SIZE = 8000
SPECIAL_TOKENS = {"pad": "[PAD]", "cls": "[CLS]", "sep": "[SEP]"}


def write_sample(mails: pa.Table, path: Path) -> int:
    """Write every fifteenth mail; the result is how many those are."""
    sample = mails.take(pa.array(range(0, mails.num_rows, EVERY)))
    pq.write_table(
        sample.replace_schema_metadata(None),
        path,
        row_group_size=ROWS_PER_GROUP,
        compression="zstd",
        compression_level=15,
    )
    return sample.num_rows


def train_tokenizer(texts: list[str]) -> Tokenizer:
    """Train a byte-level BPE tokenizer, which has a token for every text and needs no unknown one.

    WordPiece, as BERT has it, breaks ties by the order of a hash table: no two trainings are the same.
    """
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(
        texts,
        trainers.BpeTrainer(
            vocab_size=VOCABULARY_SIZE,
            special_tokens=list(SPECIAL_TOKENS.values()),
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            max_token_length=16,  # ruled lines and encoded attachments are not words
            show_progress=False,
        ),
        length=len(texts),
    )
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[(token, tokenizer.token_to_id(token)) for token in ("[CLS]", "[SEP]")],
    )
    return tokenizer


def save_tokenizer(tokenizer: Tokenizer, folder: Path) -> None:
    """Write a folder that `AutoTokenizer.from_pretrained` loads."""
    folder.mkdir(exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"), pretty=False)
    configuration = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": 512,
        "model_input_names": ["input_ids", "token_type_ids", "attention_mask"],
        **{f"{role}_token": token for role, token in SPECIAL_TOKENS.items()},
    }
    text = json.dumps(configuration, indent=2) + "\n"
    (folder / "tokenizer_config.json").write_text(text, encoding="utf-8")


def main() -> None:
    """Read the corpus named on the command line and write both beside this file."""
    if len(sys.argv) != 2:  # noqa: PLR2004 - the script and its one argument
        sys.exit(f"usage: python {sys.argv[0]} path/to/mail.parquet")
    mails = pq.read_table(sys.argv[1])
    rows = write_sample(mails, FOLDER / "mail.parquet")
    tokenizer = train_tokenizer(mails["text"].to_pylist())
    save_tokenizer(tokenizer, FOLDER / "tokenizer")
    print(f"{rows} of {mails.num_rows} mails, {tokenizer.get_vocab_size()} tokens")


if __name__ == "__main__":
    main()

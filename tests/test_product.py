"""The price book over the command line: imported, listed, shown, cut down."""

import json
import subprocess
import threading

import pytest

from conftest import BIN

CSV = """\
id,name,price,currency,stock,max_quantity,tax_rate,options
1,Shirt,10.00,EUR,20,,0.21,"size,colour"
sku-2,"A ""big"" one, really",0.0125,EUR,,5,,
3,Gone,,,0,,,
"""
# What `product list --json` prints of it, but for the time.
BOOK = [
    {"id": "1", "name": "Shirt", "price": "10.00", "currency": "EUR", "stock": 20,
     "max_quantity": None, "tax_rate": "0.21", "options": ["size", "colour"], "stockrecord": ""},
    {"id": "3", "name": "Gone", "price": "", "currency": "", "stock": 0, "max_quantity": None,
     "tax_rate": "0", "options": [], "stockrecord": ""},
    {"id": "sku-2", "name": 'A "big" one, really', "price": "0.0125", "currency": "EUR",
     "stock": None, "max_quantity": 5, "tax_rate": "0", "options": [], "stockrecord": ""},
]
GOOD = {"id": "1", "name": "Shirt", "price": "10.00", "currency": "EUR"}


def book(store):
    products = store.records("product", "list")
    for product in products:
        product.pop("updated")
    return products


def lines(*products):
    return "".join(json.dumps(p) + "\n" for p in products)


@pytest.mark.parametrize("write", [
    lambda: CSV,
    lambda: CSV.replace("\n", "\r\n"),
    lambda: "\ufeff" + CSV,
    lambda: CSV.rstrip("\n"),
    lambda: lines(*BOOK),
    lambda: "\n" + lines(*BOOK).replace("\n", "\n\n"),
    lambda: json.dumps(BOOK, indent=1),
    lambda: lines(*({name: value for name, value in p.items() if value} for p in BOOK[:1]),
                  {**BOOK[1], "stock": "0", "options": None},
                  {**BOOK[2], "options": ""}),
], ids=["CSV", "CRLF", "byte-order mark", "no last line end", "NDJSON", "empty lines",
        "JSON array", "other spellings"])
def test_import(store, write):
    store.run("product", "import", "-", stdin=write())
    assert store.errors == "products: 3 added, 0 changed, 0 unchanged\n"
    assert book(store) == BOOK


def test_before_the_first_start_and_again(store, tmp_path):
    """The store is made as the first start makes it; what is there just so is left alone."""
    prices = tmp_path / "prices.csv"
    prices.write_text(CSV)
    store.run("product", "import", prices)
    assert {p.name for p in store.path.iterdir()} >= {"data.mdb", "seal.key", "sid.secret", "use"}
    number, = store.records("check")
    store.run("product", "import", prices)
    assert store.errors == "products: 0 added, 0 changed, 3 unchanged\n"
    assert store.records("check") == [number] and number["problems"] == 0
    prices.write_text(CSV.replace("10.00", "12.00").replace("3,Gone", "4,New"))
    store.run("product", "import", prices)
    assert store.errors == "products: 1 added, 1 changed, 1 unchanged\n"
    assert [p["id"] for p in book(store)] == ["1", "3", "4", "sku-2"]
    assert store.records("product", "show", "1")[0]["price"] == "12.00"


def test_what_is_listed_is_imported(store, tmp_path):
    store.run("product", "import", "-", stdin=CSV)
    listed = tmp_path / "book.ndjson"
    listed.write_text(store.run("product", "list", "--json"))
    store.run("product", "import", listed)
    assert store.errors == "products: 0 added, 0 changed, 3 unchanged\n"


def test_list_show_delete(store):
    store.run("product", "import", "-", stdin=CSV)
    table = store.run("product", "list").splitlines()
    assert table[0].split() == ["ID", "NAME", "PRICE", "CURRENCY", "STOCK", "MAX", "QUANTITY",
                                "TAX", "RATE", "OPTIONS", "STOCKRECORD", "UPDATED"]
    assert table[1].split()[:8] == ["1", "Shirt", "10.00", "EUR", "20", "-", "0.21",
                                    "size,colour"]
    assert "max_quantity:  5" in store.run("product", "show", "sku-2")
    store.run("product", "delete", "1")
    assert store.errors == "product 1 was deleted\n"
    assert [p["id"] for p in book(store)] == ["3", "sku-2"]
    for command in ("show", "delete"):
        assert store.run("product", command, "1", code=1) == ""
        assert store.errors == "sidecart: 1: no product has this id\n"
    assert store.records("check")[0]["problems"] == 0


@pytest.mark.parametrize("text,words", [
    (lines({**GOOD, "price": 10.5}), "line 1: price: decimal text is due"),
    (lines({**GOOD, "price": "-1"}), "line 1: price: "),
    (lines({**GOOD, "price": "1e3"}), "line 1: price: "),
    (lines({**GOOD, "price": "1.00001"}), "line 1: price: "),
    (lines({**GOOD, "price": "100000000"}), "line 1: price: "),
    (lines({**GOOD, "price": None}), "line 1: price: missing"),
    (lines({**GOOD, "price": True}), "line 1: price: text or a whole number is due"),
    (lines({**GOOD, "price": {}}), "line 1: price: text or a whole number is due"),
    (lines(GOOD, {**GOOD, "currency": "eur"}), "line 2: currency: "),
    (lines({**GOOD, "currency": ""}), "line 1: currency: "),
    (lines({**GOOD, "id": ""}), "line 1: id: "),
    (lines({**GOOD, "id": "a/b"}), "line 1: id: "),
    (lines({**GOOD, "id": "x" * 101}), "line 1: id: "),
    (lines({**GOOD, "name": "x" * 255}), "line 1: name: "),
    (lines({**GOOD, "name": "a\nb"}), "line 1: name: "),
    (lines({**GOOD, "stock": -1}), "line 1: stock: "),
    (lines({**GOOD, "stock": 1.5}), "line 1: stock: "),
    (lines({**GOOD, "stock": 4294967295}), "line 1: stock: "),
    (lines({**GOOD, "max_quantity": 0}), "line 1: max_quantity: "),
    (lines({**GOOD, "tax_rate": "21 %"}), "line 1: tax_rate: "),
    (lines({**GOOD, "tax_rate": "11"}), "line 1: tax_rate: "),
    (lines({**GOOD, "options": ["a,b"]}), "line 1: options: "),
    (lines({**GOOD, "options": [1]}), "line 1: options: "),
    (lines({**GOOD, "options": ["x" * 255]}), "line 1: options: "),
    (lines({**GOOD, "options": ["x" * 200] * 20}), "line 1: options: "),
    (lines({**GOOD, "stockrecord": "a b"}), "line 1: stockrecord: "),
    (lines({**GOOD, "colour": "red"}), "line 1: colour: no such field; there are id, name"),
    *((lines({name: value for name, value in GOOD.items() if name != missing}),
       f"line 1: {missing}: missing") for missing in GOOD),
    (lines(GOOD) + "[]\n", "line 2: an object is due"),
    (lines(GOOD) + "{\n", "line 2: Expecting property name"),
    (lines(GOOD) + '{"id":"1","id":"2"}\n', "line 2: "),
    ("[" + lines(GOOD), "the file ends before its array does"),
    ("id,name,price\n", "line 1: currency: the header line lacks it"),
    ("id,name,price,currency,id\n", "line 1: id: named twice"),
    ("id,name,price,currency,stok\n", "line 1: stok: no such field"),
    ("id,name,price,currency\n1,a,1.00\n", "line 2: a cell is missing"),
    ("id,name,price,currency\n1,a,1.00,EUR,\n", "line 2: one cell too many"),
    ('id,name,price,currency\n1,"a,1.00,EUR\n', "line 2: a quote that is not closed"),
    ("id,name,price,currency\n1,a,\"1,00\",EUR\n", "line 2: price: "),
    ("id,name,price,currency\n\n\n1,a,1.00,EURO\n", "line 4: currency: "),
])
def test_a_bad_record(store, text, words):
    """Named by line and field; nothing of its batch is in."""
    assert store.run("product", "import", "-", stdin=text, code=1) == ""
    said, rest = store.errors.splitlines()
    assert said.startswith("sidecart: standard input: line ") and words in said
    assert rest.endswith("are in (0), none from there on")
    assert book(store) == []


def test_batches(store):
    """A thousand are put at once; one that is bad keeps its own batch out alone."""
    products = [{**GOOD, "id": f"p{i:05}"} for i in range(2500)]
    text = lines(*products) + lines({**GOOD, "price": "?"})
    store.run("product", "import", "-", stdin=text, code=1)
    assert "line 2501: price" in store.errors
    assert "products before line 2001 are in (2000), none from there on" in store.errors
    assert len(book(store)) == 2000
    store.run("product", "import", "-", stdin=lines(*products))
    assert store.errors == "products: 500 added, 0 changed, 2000 unchanged\n"


@pytest.mark.parametrize("name,words", [("none.csv", "No such file"), (".", "Is a directory")])
def test_no_file(store, tmp_path, name, words):
    store.run("product", "import", tmp_path / name, code=1)
    assert words in store.errors and len(store.errors.splitlines()) == 1
    assert not (store.path / "data.mdb").exists()


def test_an_empty_file(store):
    store.run("product", "import", "-", stdin="")
    assert store.errors == "products: 0 added, 0 changed, 0 unchanged\n"


def test_beside_a_server(store):
    """Input that comes slowly holds no lock: the server writes meanwhile."""
    key = store.key("shop", "trusted,login")
    store.customer("ada")
    server = store.serve()
    feeding = subprocess.Popen([BIN, "product", "import", "-", f"--data={store.path}"],
                               env=store.environment, stdin=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True)
    feeding.stdin.write(CSV)
    feeding.stdin.flush()
    for i in range(20):
        answer = server.request("POST", "/session/login", {
            "X-Api-Key": key, "Session-Id": f"SID:ANON:127.0.0.1:s{i}"}, {"login": "ada"})
        assert answer.status == 200
    _, said = feeding.communicate("4,Late,1.00,EUR,,,,\n")
    assert feeding.returncode == 0 and said == "products: 4 added, 0 changed, 0 unchanged\n"


def test_progress(store):
    """Long work says now and then how far it is."""
    feeding = subprocess.Popen([BIN, "product", "import", "-", f"--data={store.path}"],
                               env=store.environment, stdin=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True)
    going = threading.Event()
    said = []

    def listen():
        for line in feeding.stderr:
            said.append(line)
            going.set()

    listener = threading.Thread(target=listen)
    listener.start()
    feeding.stdin.write(CSV.splitlines(keepends=True)[0])
    i = 0
    while not going.wait(0.02):
        feeding.stdin.write("".join(f"{n},Shirt,1.00,EUR,,,,\n" for n in range(i, i + 100)))
        i += 100
    feeding.stdin.close()
    assert feeding.wait() == 0
    listener.join()
    feeding.stderr.close()
    assert " MiB read, " in said[0] and said[0].endswith(" records done\n")
    assert said[-1].startswith("products: ")

"""Documents judged by OCAPI's published Swagger definition, which SPEC's folder holds.

Stricter than that in two ways: a document has no member that its definition does not name, and what
a definition does not say of every document is looked at here (`_v`, `_type`, times).
"""

import json
import os
import pathlib
import re

import jsonschema
import pytest

NAME = "ocapi-shop-20.4-swagger.json"
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


def formats():
    checker = jsonschema.FormatChecker(formats=())
    checker.checks("date-time")(lambda value: bool(TIME.fullmatch(value)))
    # An empty address is none: the original writes one of a guest's basket.
    checker.checks("email")(lambda value: value == "" or bool(re.fullmatch(r"[^@\s]+@[^@\s]+", value)))
    checker.checks("int32")(lambda value: -2**31 <= value < 2**31)
    return checker


class Definitions:
    def __init__(self, document):
        self.root = document
        self.paths = document["paths"]
        for definition in document["definitions"].values():
            definition["type"] = "object"
            definition["additionalProperties"] = False
            definition["patternProperties"] = {"^(_|c_)": {}}

    def judge(self, name, document, version="20.9"):
        """Raises where `document` is none of the definition `name`."""
        schema = {"$ref": f"#/definitions/{name}", "definitions": self.root["definitions"]}
        jsonschema.Draft4Validator(schema, format_checker=formats()).validate(document)
        assert list(document)[:2] == ["_v", "_type"], list(document)
        assert document["_v"] == version and document["_type"] == name, document
        return document

    def judge_answer(self, method, path, response, version="20.9"):
        """The same of an answer to a request that the definition knows by this template."""
        answers = self.paths[path][method.lower()]["responses"]
        if "default" not in answers:
            assert response.status == 204 and str(response.status) in answers, response
            return None
        assert response.status == 200, response
        assert response.get("Content-Type") == "application/json;charset=UTF-8"
        name = answers["default"]["schema"]["$ref"].rsplit("/", 1)[1]
        return self.judge(name, json.loads(response.body), version)


def load():
    """The definitions; the test is skipped where SPEC names no folder."""
    if not os.environ.get("SPEC"):
        pytest.skip("SPEC names no folder with the published definition")
    return Definitions(json.loads((pathlib.Path(os.environ["SPEC"]) / NAME).read_text()))

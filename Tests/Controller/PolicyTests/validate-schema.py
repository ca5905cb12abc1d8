"""Says of each JSON document, one a line, whether it is valid: `true` or `false`. The first line is the schema."""

import json
import sys

import jsonschema

schema = json.loads(sys.stdin.readline())
jsonschema.Draft7Validator.check_schema(schema)
validator = jsonschema.Draft7Validator(schema)
for line in sys.stdin:
    print(json.dumps(validator.is_valid(json.loads(line))))

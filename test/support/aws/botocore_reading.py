"""Says how botocore reads generated ~/.aws files: one JSON case a line on stdin, one JSON answer a line on stdout."""

import json
import os
import sys

import botocore.configloader
import botocore.exceptions
import botocore.session
from botocore.credentials import create_credential_resolver


def owner(refresh):
    """The fetcher behind a deferred credential, also when an MFA wrapper hides it."""
    if getattr(refresh, "__self__", None) is not None:
        return refresh.__self__
    inner = getattr(refresh, "_refresh", None)
    return None if inner is None else owner(inner)


def describe(credentials):
    if credentials is None:
        return {"kind": None}
    answer = {"kind": credentials.method}
    if credentials.method == "custom-process":
        return answer
    fetcher = owner(getattr(credentials, "_refresh_using", None))
    if fetcher is None:
        frozen = credentials.get_frozen_credentials()
        answer.update(key=frozen.access_key, secret=frozen.secret_key, token=frozen.token)
        return answer
    if hasattr(fetcher, "_role_arn"):
        answer["role"] = fetcher._role_arn
        kwargs = fetcher._assume_kwargs
        answer["externalId"] = kwargs.get("ExternalId")
        answer["mfa"] = kwargs.get("SerialNumber")
        answer["duration"] = kwargs.get("DurationSeconds")
        if hasattr(fetcher, "_source_credentials"):
            answer["base"] = describe(fetcher._source_credentials)
    elif hasattr(fetcher, "_account_id"):
        answer.update(account=fetcher._account_id, role=fetcher._role_name, startUrl=fetcher._start_url)
        answer["session"] = fetcher._sso_session_name
    return answer


def read(case):
    for name in list(os.environ):
        if name.startswith("AWS_"):
            del os.environ[name]
    os.environ.update(case["env"])
    if case.get("parse"):
        return {"sections": botocore.configloader.raw_config_parse(case["parse"])}
    session = botocore.session.Session(profile=case["profile"]) if case.get("profile") else botocore.session.Session()
    session.get_scoped_config()
    return describe(create_credential_resolver(session).load_credentials())


for line in sys.stdin:
    try:
        result = read(json.loads(line))
    except botocore.exceptions.BotoCoreError as error:
        result = {"error": type(error).__name__, "message": str(error)}
    except ValueError as error:
        result = {"error": "ValueError", "message": str(error)}
    print(json.dumps(result), flush=True)

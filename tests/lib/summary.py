#!/usr/bin/env python3
"""Counts the cases in meson's JUnit log, names failures and reasons of skips, and closes with one line.

Usage: summary.py testlog.junit.xml.  Exit code 0 only if something ran and nothing failed.
"""
import sys
import xml.etree.ElementTree as xml


def first_line(element):
    text = (element.get("message") or element.text or "").strip()
    return text.splitlines()[0] if text else "no reason given"


def main(path):
    passed, failed, skipped = 0, [], []
    try:
        suites = xml.parse(path).getroot().iter("testsuite")
    except (OSError, xml.ParseError) as error:
        print(f"No test log: {error}")
        suites = []
    for suite in suites:
        for case in suite.iter("testcase"):
            name = f"{suite.get('name')} {case.get('name')}"
            failure = case.find("failure")
            if failure is None:
                failure = case.find("error")
            skip = case.find("skipped")
            if failure is not None:
                failed.append((name, first_line(failure)))
            elif skip is not None:
                skipped.append((name, first_line(skip)))
            else:
                passed += 1
    for name, reason in skipped:
        print(f"skipped: {name}: {reason}")
    for name, reason in failed:
        print(f"FAILED: {name}: {reason}")
    print(f"{passed} passed, {len(failed)} failed, {len(skipped)} skipped")
    return 0 if passed and not failed else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))

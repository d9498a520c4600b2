/** docs/cli.md and the program have the same commands and flags. */
import { readFileSync } from "node:fs";
import type { Command } from "commander";
import { expect, it } from "vitest";
import { systemClock } from "../../src/base/clock.ts";
import { unstoppable } from "../../test/support/command-line.ts";
import { noDebugLog } from "./debug-log.ts";
import { productionDependencies } from "./dependencies.ts";
import { Invocation } from "./invocation.ts";
import { createProgram } from "./program.ts";
import { Reporter } from "./reporter.ts";
import { createScriptedTerminal } from "./terminal.fake.ts";

const page = readFileSync(new URL("../../docs/cli.md", import.meta.url), "utf8");

function program(): Command {
  const terminal = createScriptedTerminal(null);
  const invocation = new Invocation([]);
  const context = {
    cwd: "/",
    terminal,
    invocation,
    log: noDebugLog,
    reporter: new Reporter(terminal, systemClock, invocation, noDebugLog),
    clock: systemClock,
    loadDependencies: async () => productionDependencies,
    environment: {},
    variables: {},
    version: "0.0.0-test",
    stop: unstoppable(),
    atEnd: () => {},
  };
  return createProgram(context, () => {});
}

function* commandsOf(command: Command, path = ""): Generator<readonly [path: string, command: Command]> {
  for (const child of command.commands) {
    const name = `${path} ${child.name()}`.trim();
    if (child.commands.length === 0) yield [name, child];
    yield* commandsOf(child, name);
  }
}

const root = program();
const commands = [...commandsOf(root)];
const withFlags = [root, ...commands.map(([, command]) => command)];
const longFlags = withFlags.flatMap(({ options }) => options.map(({ long }) => long!.replace("--", "-")));
const shortFlags = commands.flatMap(([, { options }]) => options.flatMap(({ short }) => short ?? []));
const flags = new Set([...longFlags, ...shortFlags]);

/** A command is in the first cell of a row, or in a heading: `apply [SPEC | PLAN]`. */
const places = page.split("\n").flatMap((line) => {
  if (line.startsWith("#")) return [line];
  return line.startsWith("| `") ? [line.slice(2).split(" | ")[0]!] : [];
});
const verb = /`([a-z][a-z-]*(?: [a-z][a-z-]*)*)(?=[ `])[^`]*`/g;
const documented = places.flatMap((place) => [...place.matchAll(verb)].map(([, name]) => name!));

it.each(commands.map(([name]) => name))("the page has the command %s", (name) => {
  expect(documented).toContain(name);
});

it.each([...flags])("the page has the flag %s", (flag) => {
  expect(page).toMatch(new RegExp(`[\` ]${flag}\\b`));
});

it("the page has no unknown command or flag", () => {
  const known = commands.map(([name]) => name);
  expect(documented.filter((verb) => !known.includes(verb))).toEqual([]);
  const named = [...page.matchAll(/`(?:[a-z ]+ )?(-[a-z][a-z-]*)/g)].map(([, flag]) => flag!);
  expect(named.filter((flag) => !flags.has(flag))).toEqual([]);
});

it.each(commands)("a printed command of %s has the spec in the form that it accepts", (name, command) => {
  const invocation = new Invocation([]);
  invocation.about({ spec: "some.yaml" });
  const line = invocation.line(name.split(" "));
  const takesArgument = command.registeredArguments.some((argument) => argument.name().startsWith("spec"));
  if (takesArgument && name !== "fmt") expect(line).toBe(`haplan ${name} some.yaml`);
  if (command.options.some(({ long }) => long === "--spec")) expect(line).toBe(`haplan ${name} -spec=some.yaml`);
});

it.each(commands)("a printed command of %s has -state-only only if it accepts that", (name, command) => {
  const invocation = new Invocation([]);
  invocation.about({ stateOnly: "demo" });
  if (command.options.some(({ long }) => long === "--state-only")) return;
  if (command.registeredArguments.some((argument) => argument.name().startsWith("spec")) && name !== "fmt")
    expect(invocation.line(name.split(" "))).toBe(`haplan ${name}`);
});

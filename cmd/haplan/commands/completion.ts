/** `haplan completion bash|zsh|fish`: prints a script; it does not write to the user's shell files. */
import type { Command } from "commander";
import {
  agentUnitName,
  loadBalancerUnitName,
  relayUnitName,
  virtualAddressUnitName,
  workerUnitName,
} from "../../../src/units/unit-definition.ts";
import type { CliContext, ExitCode } from "../cli-context.ts";
import { outputNames } from "../cluster-outputs.ts";
import { refuse } from "../refusal.ts";
import {
  type CompletionCommand,
  type CompletionWords,
  completionShells,
  renderCompletion,
} from "../views/completion-view.ts";

const trueOrFalse = ["true", "false"];

/** Values of flags, other than files. */
const flagValues: Readonly<Record<string, CompletionWords>> = {
  "--target": "addresses",
  "--replace": "addresses",
  "--state-only": "clusters",
  "--raw": outputNames,
  "--format": ["dot", "mermaid"],
  "--annotations": ["github"],
  "--lock": trueOrFalse,
  "--input": trueOrFalse,
  "--refresh": trueOrFalse,
  "--unit": [agentUnitName, loadBalancerUnitName, virtualAddressUnitName, relayUnitName, workerUnitName],
};

/** Arguments of commands, other than files. */
const verbWords: Readonly<Record<string, CompletionWords>> = {
  "state list": "addresses",
  "state show": "addresses",
  "state mv": "addresses",
  "state rm": "addresses",
  import: "addresses",
  logs: "nodes",
  exec: "nodes",
  ssh: "nodes",
  completion: completionShells,
};

export function runCompletion(context: CliContext, program: Command, name: string): ExitCode {
  const shell = completionShells.find((known) => known === name);
  if (shell === undefined) {
    const detail = `Write one of ${completionShells.join(", ")}, such as \`source <(haplan completion bash)\`.`;
    throw refuse("cli/unknown-shell", `There is no completion for ${name}`, detail);
  }
  context.terminal.print(renderCompletion(shell, verbsOf(program, "")));
  return 0;
}

function verbsOf(command: Command, prefix: string): readonly CompletionCommand[] {
  return command.commands.flatMap((verb) => {
    const name = `${prefix}${verb.name()}`;
    if (verb.commands.length > 0) return verbsOf(verb, `${name} `);
    const flags = [...verb.options, ...rootOf(verb).options].flatMap(({ long, description, required, optional }) =>
      long === undefined || long === null
        ? []
        : [{ name: long, description, takesValue: required || optional, values: flagValues[long] ?? null }],
    );
    return [{ name, description: verb.description(), flags, words: verbWords[name] ?? null }];
  });
}

function rootOf(command: Command): Command {
  return command.parent === null ? command : rootOf(command.parent);
}

/** `haplan completion bash|zsh|fish`: prints a script; nothing is written to anybody's shell files. */
import type { Command } from "commander";
import type { CliContext, ExitCode } from "../cli-context.ts";
import { refuse } from "../refusal.ts";
import { type CompletionVerb, completionShells, renderCompletion } from "../views/completion-view.ts";

export function runCompletion(context: CliContext, program: Command, name: string): ExitCode {
  const shell = completionShells.find((known) => known === name);
  if (shell === undefined) {
    const detail = `Write one of ${completionShells.join(", ")}, such as \`source <(haplan completion bash)\`.`;
    throw refuse("cli/unknown-shell", `There is no completion for ${name}`, detail);
  }
  context.terminal.print(renderCompletion(shell, verbsOf(program, "")));
  return 0;
}

function verbsOf(command: Command, prefix: string): readonly CompletionVerb[] {
  return command.commands.flatMap((verb) => {
    const name = `${prefix}${verb.name()}`;
    if (verb.commands.length > 0) return verbsOf(verb, `${name} `);
    const flags = [...verb.options, ...rootOf(verb).options].flatMap(({ long, description, required, optional }) =>
      long === undefined || long === null ? [] : [{ name: long, description, takesValue: required || optional }],
    );
    return [{ name, description: verb.description(), flags }];
  });
}

function rootOf(command: Command): Command {
  return command.parent === null ? command : rootOf(command.parent);
}

/**
 * How diagnostics and events reach whoever runs haplan: as text, as one JSON document, as a stream of JSON lines, and
 * beside that into a file (`-json-into`) and as annotations of a CI system.
 */
import { closeSync, openSync, writeSync } from "node:fs";
import { resolve } from "node:path";
import type { Clock } from "../../src/base/clock.ts";
import type { Diagnostic } from "../../src/base/diagnostic.ts";
import { errorText } from "../../src/base/haplan-error.ts";
import type { DebugLog } from "./debug-log.ts";
import type { Invocation } from "./invocation.ts";
import { refuse } from "./refusal.ts";
import type { Terminal } from "./terminal.ts";
import { githubAnnotation } from "./views/annotation-view.ts";
import { diagnosticsToJson, renderCompactWarnings, renderDiagnostics } from "./views/diagnostics-view.ts";
import { diagnosticLine, renderUiLine, type UiLine, versionLine } from "./views/ui-line.ts";

/** `document`: standard output is one JSON document; `stream`: one object a line. */
export type JsonForm = "none" | "document" | "stream";

export type ReporterFlags = {
  readonly jsonInto?: string;
  readonly annotations?: string;
  readonly compactWarnings?: boolean;
};

export class Reporter {
  readonly #terminal: Terminal;
  readonly #clock: Clock;
  readonly #invocation: Invocation;
  readonly #log: DebugLog;
  #form: JsonForm = "none";
  #flags: ReporterFlags = {};
  #file: { readonly path: string; readonly descriptor: number } | null = null;

  constructor(terminal: Terminal, clock: Clock, invocation: Invocation, log: DebugLog) {
    this.#log = log;
    this.#terminal = terminal;
    this.#clock = clock;
    this.#invocation = invocation;
  }

  /** Before anything is done: a file that cannot be written is better known now. @throws RefusalError */
  configure(
    form: JsonForm,
    flags: ReporterFlags,
    { cwd, version }: { readonly cwd: string; readonly version: string },
  ): void {
    this.#form = form;
    const { annotations, jsonInto } = flags;
    // A system that is not known gets nothing in another one's form, not even this.
    this.#flags = annotations === "github" ? flags : { compactWarnings: flags.compactWarnings ?? false };
    if (annotations !== undefined && annotations !== "github") {
      throw refuse("cli/bad-annotations", `-annotations=${annotations} is not known`, "Write -annotations=github.");
    }
    if (jsonInto !== undefined) {
      try {
        this.#file = { path: jsonInto, descriptor: openSync(resolve(cwd, jsonInto), "w", 0o600) };
      } catch (error) {
        throw refuse("cli/cannot-write-json", `Cannot write ${jsonInto}, given with -json-into`, errorText(error));
      }
    }
    this.event(versionLine(version));
  }

  /** Whether standard output is for programs. */
  get json(): boolean {
    return this.#form !== "none";
  }

  /** One line of the stream, to wherever a stream was asked for. */
  event(line: UiLine): void {
    this.#log.write(line.level ?? "info", line.message, { type: line.type });
    if (this.#form !== "stream" && this.#file === null) return;
    const text = renderUiLine(line, this.#clock.now());
    if (this.#form === "stream") this.#terminal.print(text);
    this.#writeIntoFile(text);
  }

  /** A line that review tools show beside the change. */
  notice(title: string, message: string): void {
    if (this.#flags.annotations === undefined) return;
    this.#terminal.printError(githubAnnotation({ severity: "notice", summary: title, detail: message }));
  }

  warn(plain: readonly Diagnostic[]): void {
    const warnings = plain.map((warning) => this.#invocation.spellOut(warning));
    for (const warning of warnings) this.event(diagnosticLine(warning));
    this.#annotate(warnings);
    // In a document they are part of what it says.
    if (this.json || warnings.length === 0) return;
    const paint = this.#terminal.errorPaint;
    const text = this.#flags.compactWarnings
      ? renderCompactWarnings(warnings, paint)
      : renderDiagnostics(warnings, paint);
    this.#terminal.printError(text);
  }

  fail(plain: readonly Diagnostic[]): void {
    const diagnostics = plain.map((diagnostic) => this.#invocation.spellOut(diagnostic));
    for (const diagnostic of diagnostics) this.event(diagnosticLine(diagnostic));
    this.#annotate(diagnostics);
    // Where nobody reads standard output any more, standard error is the place left.
    if (this.#form === "none" || this.#terminal.closed())
      this.#terminal.printError(renderDiagnostics(diagnostics, this.#terminal.errorPaint));
    if (this.#form === "document") this.#terminal.print(JSON.stringify(diagnosticsToJson(diagnostics), null, 2));
  }

  /** For a mistake on the command line, which was said to people already: the form asked for is told all the same. */
  failUnread(form: JsonForm, diagnostic: Diagnostic): void {
    if (form === "stream") this.#terminal.print(renderUiLine(diagnosticLine(diagnostic), this.#clock.now()));
    else if (form === "document") this.#terminal.print(JSON.stringify(diagnosticsToJson([diagnostic]), null, 2));
  }

  close(): void {
    if (this.#file !== null) closeSync(this.#file.descriptor);
    this.#file = null;
  }

  /** A change that is under way does not end because its record cannot be written. */
  #writeIntoFile(text: string): void {
    if (this.#file === null) return;
    try {
      writeSync(this.#file.descriptor, `${text}\n`);
    } catch (error) {
      const { path } = this.#file;
      this.close();
      this.#terminal.printError(`Cannot write ${path}, given with -json-into: ${errorText(error)}. It ends here.`);
    }
  }

  #annotate(diagnostics: readonly Diagnostic[]): void {
    if (this.#flags.annotations === undefined) return;
    // On standard error, where they disturb no JSON; GitHub reads both.
    for (const diagnostic of diagnostics) this.#terminal.printError(githubAnnotation(diagnostic));
  }
}

/**
 * Outputs diagnostics and events: as text, as one JSON document, as a stream of JSON lines, and also into a file
 * (`-json-into`) and as annotations of a CI system.
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

/** `document`: standard output is one JSON document; `stream`: one object per line. */
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

  /** Called before any work, so that an unwritable file is reported first. @throws RefusalError */
  configure(
    form: JsonForm,
    flags: ReporterFlags,
    { cwd, version }: { readonly cwd: string; readonly version: string },
  ): void {
    this.#form = form;
    const { annotations, jsonInto } = flags;
    // The format of another system would be wrong for an unknown one, even for this error.
    this.#flags = annotations === "github" ? flags : { compactWarnings: flags.compactWarnings ?? false };
    if (annotations !== undefined && annotations !== "github") {
      throw refuse("cli/bad-annotations", `-annotations=${annotations} is not supported`, "Write -annotations=github.");
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

  /** Writes one line of the stream to every place that takes one. */
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
    // A document contains its diagnostics.
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
    // If standard output is closed, standard error is the only place left.
    if (this.#form === "none" || this.#terminal.closed())
      this.#terminal.printError(renderDiagnostics(diagnostics, this.#terminal.errorPaint));
    if (this.#form === "document") this.#terminal.print(JSON.stringify(diagnosticsToJson(diagnostics), null, 2));
  }

  /** Reports a command-line mistake, already printed as text, in the requested JSON format as well. */
  failUnread(form: JsonForm, diagnostic: Diagnostic): void {
    if (form === "stream") this.#terminal.print(renderUiLine(diagnosticLine(diagnostic), this.#clock.now()));
    else if (form === "document") this.#terminal.print(JSON.stringify(diagnosticsToJson([diagnostic]), null, 2));
  }

  close(): void {
    if (this.#file !== null) closeSync(this.#file.descriptor);
    this.#file = null;
  }

  /** A running change does not stop because its events cannot be written. */
  #writeIntoFile(text: string): void {
    if (this.#file === null) return;
    try {
      writeSync(this.#file.descriptor, `${text}\n`);
    } catch (error) {
      const { path } = this.#file;
      this.close();
      this.#terminal.printError(
        `Cannot write ${path}, given with -json-into: ${errorText(error)}. Events are no longer written to it.`,
      );
    }
  }

  #annotate(diagnostics: readonly Diagnostic[]): void {
    if (this.#flags.annotations === undefined) return;
    // On standard error, which keeps them out of JSON; GitHub reads both.
    for (const diagnostic of diagnostics) this.#terminal.printError(githubAnnotation(diagnostic));
  }
}

/**
 * Diagnostics: errors and warnings about the user's input. They are collected and reported together, never thrown one
 * by one. The shape follows Terraform's, so that tools that read Terraform's JSON can read haplan's.
 */
import type { CommandWords } from "./command-words.ts";

export type Severity = "error" | "warning";

/** A position in a text file. Lines and columns count from 1, `byte` from 0. */
export type SourcePosition = { readonly line: number; readonly column: number; readonly byte: number };

/** The part of a file that a diagnostic points at, end exclusive. */
export type SourceRange = { readonly filename: string; readonly start: SourcePosition; readonly end: SourcePosition };

/** A key of the provider's settings in a spec, or of its machine, if the machine has the key itself. */
export type SpecSetting = { readonly machine: string | null; readonly key: string };

export type Diagnostic = {
  readonly severity: Severity;
  /** Stable identifier, for example `spec/even-members`. */
  readonly code: string;
  /** One line: what is wrong. */
  readonly summary: string;
  /** Why it is wrong and what to write instead; may have several lines. */
  readonly detail?: string;
  readonly range?: SourceRange;
  /** The source line that `range` starts on, for printing below the message. */
  readonly snippet?: string;
  /** The resource or flag that it is about, if it is not about a position in a file. */
  readonly address?: string;
  /** The setting that it is about; the command that has the file gives the range. */
  readonly inSpec?: SpecSetting;
  /** Command lines that help; printed below the detail. */
  readonly commands?: readonly CommandWords[];
};

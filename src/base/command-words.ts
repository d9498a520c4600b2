/**
 * A command line of haplan that a message offers, as the words after `haplan`. What names the spec (its path, its
 * variables) and the quoting are added where it is printed: only the command line knows how it was called.
 */
export type CommandWords = readonly string[];

/**
 * A haplan command line that a message suggests, as the words after `haplan`. The flags that select the spec (its path,
 * its variables) and the quoting are added where it is printed, because only the command line has them.
 */
export type CommandWords = readonly string[];

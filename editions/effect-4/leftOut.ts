/** Modules that the edition does not have yet, with the reason: a file, or all below a folder. */
export const leftOut: Readonly<Record<string, string>> = {}

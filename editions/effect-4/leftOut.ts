/** Modules that the edition does not have yet, with the reason. */
export const leftOut: Readonly<Record<string, string>> = {}

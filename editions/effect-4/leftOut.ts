/** Files that the edition does not have, with the reason: a file, or all below a folder. */
export const leftOut: Readonly<Record<string, string>> = {
  "examples/better-auth.ts": "the adapter that it shows is one for Effect 3"
}

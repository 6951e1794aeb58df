/**
 * What the package is made of, for `project.ts`.
 *
 * - `sources`: files and folders that are copied for it.
 * - `compileInto(stage, node)`: nothing is left to do, as the edition has been compiled before its tests are run.
 */

export const sources: ReadonlyArray<string> = [
  ...["src", "dist", "docs", "examples", "migrations", "observability", "package.json"],
  ...["README.md", "CHANGELOG.md", "LICENSE"]
]

export const compileInto = (_stage: string): Promise<string> => Promise.resolve("")

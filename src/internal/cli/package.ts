/**
 * What the package says of itself.
 */
import { readFileSync } from "node:fs"

/** The part of a `package.json` that is read. */
export interface Manifest {
  readonly version: string
  readonly engines: { readonly node: string }
  readonly peerDependencies: Readonly<Record<string, string>>
}

let read: Manifest | undefined

/** Of the package this file belongs to: three folders up, from `src/internal/cli` and from `dist/internal/cli`. */
export const own = (): Manifest =>
  // The package's own file, which has these.
  read ??= JSON.parse(readFileSync(new URL("../../../package.json", import.meta.url), "utf8")) as Manifest

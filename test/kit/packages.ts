/**
 * Packages that are installed.
 *
 * - `packageFolder(name)`: the folder of one.
 * - `namesOf(specs)`: the names of `effect@4.1` and its like.
 */
import * as fs from "node:fs"
import { createRequire } from "node:module"
import * as path from "node:path"

export const packageFolder = (name: string): string => {
  // Not every package lets its package.json be resolved.
  const places = createRequire(import.meta.url).resolve.paths(name) ?? []
  const folder = places.map((place) => path.join(place, name)).find((place) => fs.existsSync(place))
  if (folder === undefined) throw new Error(`${name} is not installed`)
  return folder
}

export const namesOf = (specs: ReadonlyArray<string>): ReadonlyArray<string> =>
  specs.map((spec) => spec.replace(/(.)@.*$/, "$1"))

/**
 * Packages that are installed.
 *
 * - `packageFolder(name)`: the folder of one.
 * - `namesOf(specs)`: the names of `effect@4.1` and its like.
 */
import { createRequire } from "node:module"
import * as path from "node:path"

export const packageFolder = (name: string): string =>
  path.dirname(createRequire(import.meta.url).resolve(`${name}/package.json`))

export const namesOf = (specs: ReadonlyArray<string>): ReadonlyArray<string> =>
  specs.map((spec) => spec.replace(/(.)@.*$/, "$1"))

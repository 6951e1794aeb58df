/** `packageFolder(name)`: the folder of a package that is installed. */
import { createRequire } from "node:module"
import * as path from "node:path"

export const packageFolder = (name: string): string =>
  path.dirname(createRequire(import.meta.url).resolve(`${name}/package.json`))

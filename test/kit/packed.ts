/**
 * What the package is made of, for `project.ts`.
 *
 * - `sources`: files and folders of the repository that are copied for it.
 * - `compileInto(stage, node)`: compiles a copy of them in its folder. Gives the compiler's complaints.
 */
import * as path from "node:path"
import { packageFolder } from "./packages.js"
import type { Ended } from "./project.js"

export const sources: ReadonlyArray<string> = [
  ...[
    "src",
    "docs",
    "examples",
    "migrations",
    "observability",
    "package.json",
    "tsconfig.json",
    "tsconfig.build.json",
    "scripts/page.ts"
  ],
  ...["README.md", "CHANGELOG.md", "LICENSE"]
]

export const compileInto = async (
  stage: string,
  node: (args: ReadonlyArray<string>) => Promise<Ended>
): Promise<string> => {
  const compiler = path.join(packageFolder("typescript"), "bin/tsc")
  const { stdout } = await node([compiler, "-p", "tsconfig.build.json", "--outDir", path.join(stage, "dist")])
  // What is left out of the archive is needed for this: it is made of the sources here.
  const page = await node(["--import", "tsx", "scripts/page.ts", path.join(stage, "dist")])
  if (page.code !== 0) throw new Error(`the status page was not made: ${page.stderr}`)
  return stdout
}

/**
 * A program of ours as one file, for tests that start it as a process: one file starts in a fifth of the time of
 * hundreds of modules.
 *
 * - `bundle(entry)`: in a suite's body; builds the file before its tests, removes it after them, and gives its path.
 */
import { build } from "esbuild"
import { rmSync } from "node:fs"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import { afterAll, beforeAll } from "vitest"

/**
 * It lies where its imports are found, and as deep below the package as what `src/cli` and `dist/cli` hold, which look
 * for `package.json` from there.
 */
const folder = fileURLToPath(new URL("../../node_modules/.cache/", import.meta.url))

/** Drivers stay what they are: they are loaded when their database is opened. */
const drivers = ["better-sqlite3", "pg", "pg-native", "pg-cursor", "mysql2", "tedious", "@electric-sql/pglite"]

/** The path of the bundled `entry`, a file's URL. The file is there while the suite's tests run. */
export const bundle = (entry: URL): string => {
  const source = fileURLToPath(entry)
  const outfile = path.join(folder, `dblive-${path.basename(source, ".ts")}-${process.pid}.mjs`)
  beforeAll(() =>
    build({
      entryPoints: [source],
      outfile,
      bundle: true,
      minify: true,
      // Names of classes are tags of errors.
      keepNames: true,
      platform: "node",
      format: "esm",
      target: "node20",
      external: [...drivers, "@parcel/watcher"],
      banner: {
        js: "import { createRequire as requireFrom } from 'node:module'; const require = requireFrom(import.meta.url);"
      },
      logLevel: "error"
    })
  )
  afterAll(() => rmSync(outfile, { force: true }))
  return outfile
}

/**
 * Programs of ours as few files, for tests that start them as processes: one file starts in a fifth of the time of hundreds
 * of modules.
 *
 * - `bundle(entry)`: in a suite's body; builds the file before its tests, removes it after them, and gives its path.
 * - `bundleAsIs(entry)`: the same without packages, and with the code as it is written: for what V8 makes of it, which it makes otherwise
 *   of minified code.
 * - `bundleAll(entries)`: the same for several at once, which share what they have in common; gives the path of each.
 */
import { build, type BuildOptions, type Plugin } from "esbuild"
import { readFileSync, rmSync } from "node:fs"
import * as path from "node:path"
import { fileURLToPath, pathToFileURL } from "node:url"
import { afterAll, beforeAll } from "vitest"

/** Where imports of packages are found. */
const folder = fileURLToPath(new URL("../../node_modules/.cache/", import.meta.url))

/** What is loaded when it is needed stays what it is. */
const loadedOnDemand = [
  "better-sqlite3",
  "pg",
  "pg-native",
  "pg-cursor",
  "mysql2",
  "tedious",
  "@electric-sql/pglite",
  "prom-client"
]

/** A module that looks for files beside itself finds those of its source. */
const inPlace: Plugin = {
  name: "in-place",
  setup: ({ onLoad }) => {
    onLoad({ filter: /\.ts$/ }, ({ path: file }) => ({
      contents: readFileSync(file, "utf8").replaceAll("import.meta.url", JSON.stringify(pathToFileURL(file).href)),
      loader: "ts"
    }))
  }
}

let folders = 0

const bundled = (entries: ReadonlyArray<URL>, options: BuildOptions): ReadonlyArray<string> => {
  const outdir = path.join(folder, `dblive-${process.pid}-${++folders}`)
  const names = entries.map((entry) => path.basename(fileURLToPath(entry), ".ts"))
  beforeAll(() =>
    build({
      entryPoints: Object.fromEntries(entries.map((entry, i) => [names[i]!, fileURLToPath(entry)])),
      outdir,
      outExtension: { ".js": ".mjs" },
      bundle: true,
      splitting: true,
      // Names of classes are tags of errors.
      keepNames: true,
      platform: "node",
      format: "esm",
      target: "node20",
      banner: {
        js: "import { createRequire as requireFrom } from 'node:module'; const require = requireFrom(import.meta.url);"
      },
      plugins: [inPlace],
      logLevel: "error",
      ...options
    })
  )
  afterAll(() => rmSync(outdir, { recursive: true, force: true }))
  return names.map((name) => path.join(outdir, `${name}.mjs`))
}

/** The path of each bundled entry, a file's URL. The files are there while the suite's tests run. */
export const bundleAll = (entries: ReadonlyArray<URL>): ReadonlyArray<string> =>
  bundled(entries, { minify: true, external: [...loadedOnDemand, "@parcel/watcher"] })

/** The path of the bundled `entry`, a file's URL, with its code as it is and without packages. */
export const bundleAsIs = (entry: URL): string => bundled([entry], { packages: "external" })[0]!

/** The path of the bundled `entry`, a file's URL. The file is there while the suite's tests run. */
export const bundle = (entry: URL): string => bundleAll([entry])[0]!

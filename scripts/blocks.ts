/**
 * The code that the documents show is cut out of files that are type-checked and run: npm run docs:blocks
 *
 * A block is marked by a comment before it, with a file and, after `#`, regions of it (`// #region NAME` to
 * `// #endregion`), joined by `+`. Without regions it is the whole file below its opening comment. Relative imports of
 * the sources are shown as the imports of the package.
 *
 *     <!-- file: examples/retry.ts#imports+transfer -->
 */
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs"
import { argv } from "node:process"
import { fileURLToPath } from "node:url"

const root = new URL("../", import.meta.url)
const read = (path: string, from = root) => readFileSync(new URL(path, from), "utf8").replaceAll("\r\n", "\n")

/** The documents whose blocks are kept. */
export const documents: ReadonlyArray<string> = [
  "README.md",
  "CONTRIBUTING.md",
  ...readdirSync(new URL("docs/", root)).filter((name) => name.endsWith(".md")).sort().map((name) => `docs/${name}`)
].filter((path) => existsSync(new URL(path, root)))

const entryPoints: ReadonlyArray<readonly [source: RegExp, entry: string]> = [
  [/"(?:\.\.?\/)+src\/index\.js"/g, "\"dblive\""],
  [/"(?:\.\.?\/)+src\/DbTest\.js"/g, "\"dblive/test\""],
  [/"(?:\.\.?\/)+src\/DbHttp\.js"/g, "\"dblive/http\""],
  [/"(?:\.\.?\/)+src\/driver\/Pg\.js"/g, "\"dblive/pg\""],
  [/"(?:\.\.?\/)+src\/driver\/Sqlite\.js"/g, "\"dblive/sqlite\""],
  [/"(?:\.\.?\/)+src\/driver\/Mysql\.js"/g, "\"dblive/mysql\""],
  [/"(?:\.\.?\/)+src\/driver\/Mssql\.js"/g, "\"dblive/mssql\""]
]

const marker = /^\s*\/\/ #(end)?region\b/

const dedented = (lines: ReadonlyArray<string>): string => {
  const depths = lines.filter((line) => line.trim() !== "").map((line) => line.length - line.trimStart().length)
  const depth = Math.min(...depths)
  return lines.map((line) => line.slice(depth)).join("\n").trim()
}

const regionOf = (path: string, lines: ReadonlyArray<string>, name: string): string => {
  const start = lines.findIndex((line) => line.trim() === `// #region ${name}`)
  if (start < 0) {
    throw new Error(`${path} has no "// #region ${name}"`)
  }
  let depth = 1
  let end = start
  while (depth > 0) {
    const line = lines[++end]
    if (line === undefined) {
      throw new Error(`${path}: the region ${name} has no end`)
    }
    const found = marker.exec(line)
    depth += found === null ? 0 : found[1] === undefined ? 1 : -1
  }
  return dedented(lines.slice(start + 1, end).filter((line) => !marker.test(line)))
}

/** The code that a block's mark stands for, as a user of the package writes it; `from` is the folder that has the files. */
export const code = (mark: string, from = root): string => {
  const [path = "", regions] = mark.split("#")
  const text = read(path, from)
  const lines = text.split("\n")
  const shown = regions === undefined
    ? dedented(text.replace(/^\/\*\*[^]*?\*\/\n/, "").split("\n").filter((line) => !marker.test(line)))
    : regions.split("+").map((name) => regionOf(path, lines, name)).join("\n\n")
  return entryPoints.reduce((text, [source, entry]) => text.replace(source, entry), shown)
}

const block = /(?:<!-- file: (\S+) -->\n)?```(ts|typescript)\n([^]*?)```/g

/** A document with what `of` makes of each block, by its mark or, without one, its text; `undefined` leaves it as it is. */
export const withBlocks = (path: string, of: (mark: string | undefined, text: string) => string | undefined): string =>
  read(path).replace(
    block,
    (whole, mark: string | undefined, _language: string, text: string) => {
      const made = of(mark, text)
      return made === undefined
        ? whole
        : `${mark === undefined ? "" : `<!-- file: ${mark} -->\n`}\`\`\`ts\n${made}\n\`\`\``
    }
  )

/** A document with its blocks as the files are now. */
export const written = (path: string): string => withBlocks(path, (mark) => mark === undefined ? undefined : code(mark))

/** Documents whose code a test of their own writes to files, type-checks and runs: test/package/firstHour.test.ts. */
const tested: ReadonlySet<string> = new Set(["docs/first-hour.md"])

/** The first lines of blocks of TypeScript that name no file. */
export const unmarked = (path: string): ReadonlyArray<string> =>
  tested.has(path)
    ? []
    : [...read(path).matchAll(block)].filter(([, mark]) => mark === undefined)
      .map(([, , , text]) => text!.split("\n")[0]!)

if (argv[1] === fileURLToPath(import.meta.url)) {
  for (const path of documents) {
    writeFileSync(new URL(path, root), written(path))
    for (const line of unmarked(path)) {
      console.error(`${path}: a block of TypeScript names no file: ${line}`)
    }
  }
}

/**
 * Writes docs/weight.md, what importing the package weighs, from the built package: npm run docs:weight
 */
import { build } from "esbuild"
import { existsSync, readFileSync, realpathSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { argv } from "node:process"
import { fileURLToPath } from "node:url"
import { gzipSync } from "node:zlib"

const programs = {
  "SQLite":
    "import { Db } from \"./dist/index.js\"; import { make } from \"./dist/driver/Sqlite.js\"; console.log(Db, make)",
  "PostgreSQL":
    "import { Db } from \"./dist/index.js\"; import { make } from \"./dist/driver/Pg.js\"; console.log(Db, make)",
  "MySQL, MariaDB":
    "import { Db } from \"./dist/index.js\"; import { make } from \"./dist/driver/Mysql.js\"; console.log(Db, make)",
  "SQL Server":
    "import { Db } from \"./dist/index.js\"; import { make } from \"./dist/driver/Mssql.js\"; console.log(Db, make)"
}

/** How far the size may move, as a share, before the page has to be written again. */
export const tolerance = 0.1

/** What a program that uses `Db` with one driver loads of the package: minified code, without other packages. */
export const weigh = async (
  directory: string,
  driver: keyof typeof programs
): Promise<{ readonly minified: number; readonly gzipped: number }> => {
  const place = realpathSync(directory)
  const { metafile, outputFiles } = await build({
    stdin: { contents: programs[driver], resolveDir: place },
    bundle: true,
    splitting: true,
    minify: true,
    format: "esm",
    platform: "node",
    packages: "external",
    // Nothing is written: a folder is needed to name the parts.
    outdir: join(place, "weighed"),
    absWorkingDir: place,
    write: false,
    metafile: true
  })
  // What is loaded on demand (the other drivers) is a part of its own, which the first part does not import.
  const loaded = new Set<string>()
  const load = (part: string): void => {
    if (loaded.has(part)) return
    loaded.add(part)
    for (const { kind, path } of metafile.outputs[part]?.imports ?? []) {
      if (kind === "import-statement" && metafile.outputs[path] !== undefined) load(path)
    }
  }
  load(Object.keys(metafile.outputs).find((part) => metafile.outputs[part]?.entryPoint === "<stdin>")!)
  const files = outputFiles.filter(({ path }) => [...loaded].some((part) => join(place, part) === path))
  return {
    minified: files.reduce((sum, { contents }) => sum + contents.length, 0),
    gzipped: files.reduce((sum, { contents }) => sum + gzipSync(contents).length, 0)
  }
}

/** The drivers that are weighed. */
export const drivers = Object.keys(programs) as ReadonlyArray<keyof typeof programs>

const page = new URL("../docs/weight.md", import.meta.url)

/** What the page says, in kB by driver: minified, gzipped. */
export const claimed = (): ReadonlyMap<string, readonly [number, number]> =>
  new Map(
    [...(existsSync(page) ? readFileSync(page, "utf8") : "").matchAll(/^\| (.+?) \| (\d+) kB \| (\d+) kB \|$/gm)].map((
      [, driver, minified, gzipped]
    ) => [driver!, [Number(minified), Number(gzipped)]])
  )

const kB = (bytes: number) => `${Math.round(bytes / 1000)} kB`

if (argv[1] === fileURLToPath(import.meta.url)) {
  const rows = []
  for (const driver of drivers) {
    const { gzipped, minified } = await weigh(fileURLToPath(new URL("..", import.meta.url)), driver)
    rows.push(`| ${driver} | ${kB(minified)} | ${kB(gzipped)} |`)
  }
  writeFileSync(
    page,
    `<!-- Written by npm run docs:weight from the built package. -->

# What importing it weighs

A bundled program that uses \`Db\` with one driver loads this much of \`dblive\` (esbuild, minified; \`effect\`, \`@effect/sql\` and the
database's own package not counted). The other drivers, migrations, the registry, test layers and the command line are not among it: they are
loaded when they are used, or dropped by the bundler (\`sideEffects: false\`).

| driver | minified | gzipped |
|---|---:|---:|
${rows.join("\n")}

A test fails when one of these is off by more than ${tolerance * 100} %.
`
  )
}

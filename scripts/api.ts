/**
 * Writes api/*.api.md, the report of the public API, from the built declarations: npm run docs:api
 *
 * The report changes only when the API does, so a change of it is seen where changes are looked at.
 */
import { mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs"
import { argv } from "node:process"
import { fileURLToPath } from "node:url"
import { type PublicName, publicNames } from "./publicNames.js"

/** The reports by file name, such as `pg.api.md`. */
export const reports = (names: ReadonlyArray<PublicName>): ReadonlyMap<string, string> => {
  const files = new Map<string, string>()
  for (const entry of new Set(names.map((name) => name.entry))) {
    const own = names.filter((name) => name.entry === entry)
    const origins = new Set(own.flatMap(({ origin }) => origin === undefined ? [] : [origin]))
    const lines = own
      .filter(({ origin }) => origin === undefined)
      .map(({ declaration, name }) => ({ name, text: `// ${name}\n${declaration}` }))
      .sort((a, b) => (a.name < b.name ? -1 : 1))
      .map(({ text }) => text)
    const behind = [...new Set(own.flatMap((name) => name.behind).map(({ declaration }) => declaration))].sort()
    files.set(
      `${entry.replaceAll("/", "-")}.api.md`,
      [
        `<!-- Written by npm run docs:api. -->`,
        "",
        `# ${entry}`,
        "",
        ...[...origins].sort().map((origin) =>
          `From \`${origin}\`: ${
            own.filter((name) => name.origin === origin).map(({ name }) => `\`${name}\``).sort().join(", ")
          }\n`
        ),
        "```ts",
        lines.join("\n\n"),
        "```",
        "",
        ...(behind.length === 0
          ? []
          : ["The types behind them, which have no name of their own:", "", "```ts", behind.join("\n\n"), "```", ""])
      ].join("\n")
    )
  }
  return files
}

if (argv[1] === fileURLToPath(import.meta.url)) {
  const folder = new URL("../api/", import.meta.url)
  mkdirSync(folder, { recursive: true })
  for (const file of readdirSync(folder)) {
    rmSync(new URL(file, folder))
  }
  for (const [file, text] of reports(publicNames(fileURLToPath(new URL("..", import.meta.url))))) {
    writeFileSync(new URL(file, folder), text)
  }
}

/**
 * The table of settings as the documentation shows it.
 */
import type { Preset, Row } from "./row.js"
import { rows } from "./settings.js"

/**
 * One setting, as the table of the documentation shows it.
 *
 * @since 0.1.0
 * @category models
 */
export interface Setting {
  /** Its path in `Options`, such as `pool.size`. */
  readonly option: string
  /** The variable of the database "default". */
  readonly variable: string
  /** Other names of the variable. */
  readonly aliases: ReadonlyArray<string>
  /** Whether the variable may be given as `..._FILE`, the path of a file that holds the value. */
  readonly file: boolean
  readonly defaults: { readonly production: string; readonly development: string; readonly testWorker: string }
  readonly accepted: string
  readonly meaning: string
  readonly example: string
}

const defaultText = <A>(row: Row<A>, preset: Preset): string =>
  typeof row.defaults === "string" ? row.defaults : row.kind.show(row.defaults[preset])

/** The rows that have a variable, as they are shown: names, defaults as texts. */
export const table: ReadonlyArray<Setting> = rows.filter(({ suffixes }) => suffixes.length > 0).map((row) => ({
  option: row.option,
  variable: `DATABASE_${row.suffixes[0]}`,
  aliases: row.suffixes.slice(1).map((suffix) => `DATABASE_${suffix}`),
  file: row.file,
  defaults: {
    production: defaultText(row, "production"),
    development: defaultText(row, "development"),
    testWorker: defaultText(row, "test worker")
  },
  accepted: row.kind.accepted,
  meaning: row.meaning,
  example: row.example
}))

/** The default of a row in words: in comments and on pages it is written so. */
export const defaultOf = (row: Row<unknown>): string => {
  const production = defaultText(row, "production")
  const development = defaultText(row, "development")
  const worker = defaultText(row, "test worker")
  return production +
    (development === production ? "" : `; development ${development}`) +
    (worker === production ? "" : `; test worker ${worker}`)
}

const line = (cells: ReadonlyArray<string>): string =>
  `| ${cells.map((text) => text.replaceAll("|", "\\|")).join(" | ")} |`

const variablesOf = ({ file: isFile, suffixes: [name, ...aliases] }: Row<unknown>): string =>
  [name, ...isFile ? [`${name}_FILE`] : [], ...aliases].map((suffix) => `\`DATABASE_${suffix}\``).join(" ")

/** The rows that have a variable as a table in Markdown. */
export const markdown: string = [
  "| option | variable | default | meaning |",
  "|---|---|---|---|",
  ...rows.filter(({ suffixes }) => suffixes.length > 0).map((row) =>
    line([`\`${row.option}\``, variablesOf(row), defaultOf(row), row.meaning])
  )
].join("\n")

/** The rows that have none. */
export const markdownOfCode: string = [
  "| option | default | meaning |",
  "|---|---|---|",
  ...rows.filter(({ suffixes }) => suffixes.length === 0).map((row) =>
    line([`\`${row.option}\``, defaultOf(row), row.meaning])
  )
].join("\n")

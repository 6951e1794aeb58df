/**
 * The file of functions that is made of the statements. The same statements and schema make the same text.
 */
import type { Checked, Field, Statement } from "./model.js"
import { isIdentifier, toTypeName } from "./names.js"

/** What the functions call: `Db`, or the class of a named database with the module that exports it. */
export interface Tag {
  readonly name: string
  readonly module: string
}

/** The default database's. */
export const defaultTag: Tag = { name: "Db", module: "dblive" }

const members = { one: "one", option: "option", many: "query", execute: "execute" } as const

const key = (name: string): string => isIdentifier(name) ? name : JSON.stringify(name)

/** A text as a template without places. */
const quoted = (text: string): string =>
  text.includes("\n")
    ? `\`${text.replace(/[`\\]|\$\{/g, "\\$&").replaceAll("\r", "\\r")}\``
    : JSON.stringify(text)

const comment = (lines: ReadonlyArray<string>): string => {
  const safe = lines.map((line) => line.replaceAll("*/", "* /"))
  return safe.length === 1
    ? `/** ${safe[0]} */\n`
    : `/**\n${safe.map((line) => ` * ${line}`.trimEnd() + "\n").join("")} */\n`
}

const record = (about: string, name: string, fields: ReadonlyArray<Field>): string =>
  comment([about]) +
  `export interface ${name} {\n${fields.map(({ name, type }) => `  readonly ${key(name)}: ${type}\n`).join("")}}\n`

const aboutOf = ({ about, file }: Statement): ReadonlyArray<string> =>
  about.length === 0 ? [`The statement of \`${file}\`.`] : [...about, "", `The statement of \`${file}\`.`]

const functionOf = ({ kind, parameters, row, statement }: Checked, tag: Tag, type: string): string => {
  const { name, text } = statement
  const rows = row === undefined ? "" : `<${type}Row>`
  const params = parameters.length === 0
    ? ""
    : `, { ${parameters.map(({ name }) => `${property(name)}: params${access(name)}`).join(", ")} }`
  return comment(aboutOf(statement)) +
    `export const ${name} = (${parameters.length === 0 ? "" : `params: ${type}Params`}) =>\n` +
    `  ${tag.name}.${members[kind]}${rows}(${quoted(text)}${params})\n`
}

/** A property of a literal: `__proto__: value` would set the object's prototype, and no property. */
const property = (name: string): string => name === "__proto__" ? "[\"__proto__\"]" : key(name)

const access = (name: string): string => isIdentifier(name) ? `.${name}` : `[${JSON.stringify(name)}]`

const partsOf = (checked: Checked, tag: Tag): ReadonlyArray<string> => {
  const { parameters, row, statement } = checked
  const type = toTypeName(statement.name)
  const of = statement.isFunction ? `{@link ${statement.name}}` : `the statement of \`${statement.file}\``
  return [
    ...parameters.length === 0 ? [] : [record(`What ${of} takes.`, `${type}Params`, parameters)],
    ...row === undefined ? [] : [record(`A row of ${of}.`, `${type}Row`, row)],
    ...statement.isFunction ? [functionOf(checked, tag, type)] : []
  ]
}

/** What a file begins with that was made here. */
const mark = "// Made by `dblive check --write`"

/** Whether a file's text was made here, or is none: another one is the user's own. */
export const isMade = (text: string): boolean => text.trim() === "" || text.startsWith(mark)

/** The file's text. */
export const generate = (checked: ReadonlyArray<Checked>, tag: Tag): string => {
  const sorted = [...checked].sort((a, b) => a.statement.name < b.statement.name ? -1 : 1)
  const parts = sorted.flatMap((one) => partsOf(one, tag))
  const fields = sorted.flatMap(({ parameters, row = [] }) => [...parameters, ...row])
  const imports = [
    ...sorted.some(({ statement }) => statement.isFunction)
      ? [`import { ${tag.name} } from ${JSON.stringify(tag.module)}\n`]
      : [],
    ...fields.some(({ type }) => /\bParam\b/.test(type)) ? ["import type { Param } from \"dblive/Db\"\n"] : []
  ].join("")
  const header = `${mark} from SQL files and the schema of the migrations. Do not edit it: it is made anew.\n` +
    "/* eslint-disable */\n"
  return [header + imports, ...parts.length === 0 ? ["export {}\n"] : parts].join("\n")
}

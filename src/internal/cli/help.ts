/**
 * What `--help` writes: the overview of all commands, and what one command takes.
 */
import * as Command from "@effect/cli/Command"
import { commonOptions } from "./arguments.js"
import type { Entry } from "./commands.js"
import { shapeOf } from "./effectCli.js"
import { target } from "./options.js"
import type { OptionShape, Shape } from "./shape.js"
import { onOutput } from "./style.js"

/** The longest line. */
const width = 100

const wrap = (text: string, indent: number): ReadonlyArray<string> => {
  const lines: Array<string> = []
  let line = ""
  for (const word of text.split(" ")) {
    if (line !== "" && indent + line.length + 1 + word.length > width) {
      lines.push(line)
      line = word
    } else {
      line = line === "" ? word : `${line} ${word}`
    }
  }
  return [...lines, line]
}

/** Two columns; a name that is longer than the left one has a line for itself. */
const columns = (rows: ReadonlyArray<readonly [string, string]>, most = 30): ReadonlyArray<string> => {
  const left = Math.min(most, Math.max(...rows.map(([name]) => name.length)))
  const indent = left + 4
  return rows.flatMap(([name, text]) => {
    const lines = wrap(text, indent)
    const shown = onOutput("name", name)
    const isLong = name.length > left
    return [
      isLong ? `  ${shown}` : `  ${shown}${" ".repeat(left - name.length + 2)}${lines[0]!}`,
      ...lines.slice(isLong ? 0 : 1).map((line) => " ".repeat(indent) + line)
    ]
  })
}

const heading = (text: string): string => onOutput("heading", text)

const section = (title: string, lines: ReadonlyArray<string>): ReadonlyArray<string> =>
  lines.length === 0 ? [] : ["", heading(title), ...lines]

const nameOf = ({ names, value }: OptionShape): string =>
  `${names.length === 1 ? "    " : ""}${names.join(", ")}${value === undefined ? "" : ` ${value}`}`

const optionRows = (options: ReadonlyArray<OptionShape>) =>
  options.length === 0 ? [] : columns(options.map((option) => [nameOf(option), option.text] as const))

/** The names of the options that say which database is meant. */
const targets: ReadonlySet<string> = new Set(
  shapeOf(Command.make("target", { ...target })).options.map(({ names }) => names.at(-1)!).filter((name) =>
    name !== "--json"
  )
)

const usageOf = ({ arguments: given, name, options }: Shape): string =>
  [
    "dblive",
    name,
    ...given.map((argument) => argument.isRequired ? argument.name : `[${argument.name}]`),
    ...(options.length === 0 ? [] : ["[options]"])
  ].join(" ")

/** What one command does and takes. */
export const commandHelp = ({ examples, shape, summary }: Entry): string => {
  const isTarget = ({ names }: OptionShape) => targets.has(names.at(-1)!)
  const own = shape.options.filter((option) => !isTarget(option))
  return [
    `dblive ${shape.name}: ${summary}`,
    "",
    ...wrap(shape.text, 0),
    "",
    `${heading("Usage:")} ${usageOf(shape)}`,
    ...section(
      "Arguments",
      shape.arguments.length === 0 ? [] : columns(shape.arguments.map(({ name, text }) => [name, text] as const))
    ),
    ...section("Options", optionRows(own)),
    ...section("Which database", optionRows(shape.options.filter(isTarget))),
    ...section(examples.length === 1 ? "Example" : "Examples", examples.map((example) => `  ${example}`))
  ].join("\n")
}

/** The same for programs. */
export const commandJson = ({ examples, shape, summary }: Entry): object => ({
  command: shape.name,
  summary,
  description: shape.text,
  usage: usageOf(shape),
  arguments: shape.arguments.map(({ isRequired, name, text }) => ({ name, required: isRequired, description: text })),
  options: shape.options.map(({ choices, isMap, names, text, value }) => ({
    names,
    ...(value === undefined ? {} : { value }),
    ...(choices.length === 0 ? {} : { choices }),
    repeatable: isMap,
    description: text
  })),
  examples
})

/** All commands in a few words. */
export const overview = (entries: ReadonlyArray<Entry>, version: string): string => {
  const usages = entries.map(({ shape, summary }) =>
    [
      [shape.name, ...shape.arguments.map(({ isRequired, name }) => isRequired ? name : `[${name}]`)].join(" "),
      summary
    ] as const
  )
  const groups = [...new Set(entries.map(({ group }) => group))]
  const left = Math.max(...usages.map(([name]) => name.length))
  return [
    `dblive ${version}: migrations and questions for your databases`,
    "",
    `${heading("Usage:")} dblive COMMAND [options]        dblive COMMAND --help explains it`,
    ...groups.flatMap((group) =>
      section(
        group,
        usages.filter((_, i) => entries[i]!.group === group).map(([name, summary]) =>
          `  ${onOutput("name", name)}${" ".repeat(left - name.length + 2)}${summary}`
        )
      )
    ),
    ...section("Which database (commands about one)", [
      "  -d, --database NAME     a configured one; \"default\" is DATABASE_URL or DATABASE_*",
      "  --url URL               another address; the password comes from DATABASE_PASSWORD,",
      "                          DATABASE_PASSWORD_FILE or --password-file",
      "  --env ENVIRONMENT       production, development or test",
      "  --create                a new SQLite file, where nothing configures the database"
    ]),
    ...section("Everywhere", [
      "  --json                  one JSON document on standard output, of errors too",
      ...commonOptions.map((option) => `  ${nameOf(option).trim().padEnd(22)}  ${option.text}`),
      "  --completions SHELL     a script for bash, zsh or fish",
      "  NO_COLOR, FORCE_COLOR   variables: no colours, or colours also where there is no terminal"
    ]),
    ...section("Examples", [
      "  dblive new \"Create users\"",
      "  dblive migrate --env production",
      "  dblive status --database SurveyHub --json",
      "  dblive query \"SELECT * FROM users WHERE name = :name\" --param name=Ada --format csv"
    ]),
    "",
    "Migrations are files in migrations/NAME of the database: V001__Create_users.sql runs once,",
    "R__Views.sql whenever it changes, U001__Create_users.sql takes V001 back.",
    "",
    "Exit codes: 0 done, 1 failed, 2 called wrongly, 3 migrations pending or invalid,",
    "130 and 143 interrupted by SIGINT (Ctrl-C) and SIGTERM"
  ].join("\n")
}

/** The same for programs. */
export const overviewJson = (entries: ReadonlyArray<Entry>, version: string): object => ({
  version,
  commands: entries.map(commandJson)
})

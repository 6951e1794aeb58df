/**
 * The command line of Effect, where it is another one in each Effect: declaring some options, reading what a command takes, running it.
 */
import * as CliError from "effect/cli/CliError"
import * as CliOutput from "effect/cli/CliOutput"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import type { ArgDoc, FlagDoc, HelpDoc } from "effect/cli/HelpDoc"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as fs from "node:fs"
import type { ArgumentShape, OptionShape, Shape } from "./shape.js"

/** What is wrong with a value, as the error of `Flag.mapEffect`. */
export const refused = (message: string): CliError.ValidationError => new CliError.ValidationError({ message })

/** An option whose value is a whole number. */
export const integer = (name: string): Flag.Flag<number> =>
  Flag.String(name).pipe(
    Flag.withMetavar("integer"),
    Flag.mapEffect((text) =>
      text.trim() !== "" && Number.isSafeInteger(Number(text))
        ? Effect.succeed(Number(text))
        : Effect.fail(refused(`'${text}' is not a integer`))
    )
  )

/** An option whose value is the path of a file. Not `Flag.File`, which answers with the whole path. */
export const file = (name: string): Flag.Flag<string> =>
  Flag.String(name).pipe(
    Flag.withMetavar("file"),
    Flag.mapEffect((path) =>
      fs.statSync(path, { throwIfNoEntry: false })?.isFile() === false
        ? Effect.fail(refused(`Expected path '${path}' to be a regular file`))
        : Effect.succeed(path)
    )
  )

/** An option that may be given several times, each time as `key=value`. */
export const keyValues = (name: string): Flag.Flag<Readonly<Record<string, string>>> => Flag.KeyValuePair(name)

/** An option with its value, as one word or two: a value of its own may not begin with a dash. */
export const optionWords = (name: string, value: string): ReadonlyArray<string> => [`${name}=${value}`]

/** What Effect appends to the description of an option that has few values. */
const listed = /^(.*) \(choices: (.*)\)$/s

const optionOf = ({ aliases, description, name, type }: FlagDoc): OptionShape => {
  const text = Option.getOrElse(description, () => "")
  const [, own = text, choices = ""] = listed.exec(text) ?? []
  return {
    names: [...aliases, `--${name}`],
    value: choices !== ""
      ? choices.replaceAll(", ", "|")
      : type === "boolean"
      ? undefined
      : type === "string"
      ? "TEXT"
      : type.toUpperCase(),
    choices: choices === "" ? [] : choices.split(", "),
    isMap: type === "key=value",
    text: own
  }
}

const argumentOf = ({ description, name, required: isRequired }: ArgDoc): ArgumentShape => ({
  name: name.toUpperCase(),
  isRequired,
  text: Option.getOrElse(description, () => "")
})

/** The help that Effect makes of a command. */
const helpOf = (command: Command.Command.Any): HelpDoc => {
  const found: Array<HelpDoc> = []
  const asked = Effect.provideService(Command.runWith(command, { version: "" })(["--help"]), CliOutput.Presenter, {
    present: (event) => Effect.sync(() => event._tag === "Help" ? void found.push(event.helpDoc) : undefined)
  })
  // Help is asked for before anything of a command's own is read or run, which is all that the services are for.
  Effect.runSync(asked as Effect.Effect<void, unknown>)
  return found[0]!
}

/** What a command takes, as its declaration says it: read from the help that is made of it, so that options are declared once. */
export const shapeOf = (command: Command.Command.Any): Shape => {
  const { args = [], description, flags } = helpOf(command)
  return { name: command.name, text: description, options: flags.map(optionOf), arguments: args.map(argumentOf) }
}

const faultOf = (error: CliError.CliError): string =>
  error._tag === "ShowHelp" ? error.errors.map(({ message }) => message).join("\n") : error.message

/**
 * Runs a command with words. What is wrong with them is its error, in one form for all faults.
 *
 * @param write surrounds whatever is written to the console
 */
export const runner = <Name extends string, Input, ContextInput, R>(
  command: Command.Command<Name, Input, ContextInput, never, R>,
  version: string,
  write: (line: () => void) => void
) => {
  const run = Command.runWith(command, { version, renderErrors: false })
  return (words: ReadonlyArray<string>) =>
    Effect.flatMap(Console.Console, (console) =>
      Effect.provideService(run(words), Console.Console, {
        ...console,
        log: (...args) => write(() => console.log(...args)),
        error: (...args) => write(() => console.error(...args))
      })).pipe(
        Effect.mapError(faultOf),
        // What is wrong is told by the error alone, without the help of Effect.
        Effect.provideService(CliOutput.Presenter, { present: () => Effect.void })
      )
}

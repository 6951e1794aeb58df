/**
 * The command line of Effect, where it is another one in each Effect: declaring some options, reading what a command takes, running it.
 */
import * as CliConfig from "@effect/cli/CliConfig"
import * as Command from "@effect/cli/Command"
import * as Descriptor from "@effect/cli/CommandDescriptor"
import * as HelpDoc from "@effect/cli/HelpDoc"
import type * as Span from "@effect/cli/HelpDoc/Span"
import * as Options from "@effect/cli/Options"
import * as ValidationError from "@effect/cli/ValidationError"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import type { ArgumentShape, OptionShape, Shape } from "./shape.js"
import { withoutColours } from "./text.js"

/** An option whose value is a whole number. */
export const integer = Options.integer

/** An option whose value is the path of a file. */
export const file = Options.file

/** An option that may be given several times, each time as `key=value`. */
export const keyValues = (name: string): Options.Options<Readonly<Record<string, string>>> =>
  Options.map(Options.keyValueMap(name), (entries) => Object.fromEntries(entries))

/** What is wrong with a value, as the error of `Options.mapEffect`. */
export const refused = (message: string): ValidationError.ValidationError =>
  ValidationError.invalidValue(HelpDoc.p(message))

/** An option with its value, as one word or two. */
export const optionWords = (name: string, value: string): ReadonlyArray<string> => [name, value]

const spanText = (span: Span.Span): string => {
  switch (span._tag) {
    case "Text":
    case "URI":
      return span.value
    case "Highlight":
    case "Strong":
    case "Weak":
      return spanText(span.value)
    case "Sequence":
      return spanText(span.left) + spanText(span.right)
  }
}

/** The parts of a document one after the other. */
const parts = (doc: HelpDoc.HelpDoc): ReadonlyArray<HelpDoc.HelpDoc> =>
  doc._tag === "Sequence" ? [...parts(doc.left), ...parts(doc.right)] : [doc]

const paragraphs = (doc: HelpDoc.HelpDoc): ReadonlyArray<string> =>
  parts(doc).flatMap((part) => part._tag === "Paragraph" ? [spanText(part.value)] : [])

/** What every option and argument of one kind has in its help. */
const optional = "This setting is optional."
const isMapText = "This setting is a property argument which:"
const oneOf = "One of the following: "

/** The first paragraph tells the type. */
const own = (texts: ReadonlyArray<string>): string =>
  texts.filter((text, i) => i > 0 && text !== optional && text !== isMapText).join(" ")

const optionOf = (definition: string, doc: HelpDoc.HelpDoc): OptionShape => {
  const texts = paragraphs(doc)
  const [names = "", value] = /^((?:--?[\w-]+)(?:, --?[\w-]+)*)(?: (.+))?$/.exec(definition.replace(/^\((.*)\)$/, "$1"))
    ?.slice(1) ?? []
  const isMap = texts.includes(isMapText)
  const choices = texts.find((text) => text.startsWith(oneOf))?.slice(oneOf.length).split(", ") ?? []
  return {
    names: names.split(", "),
    value: choices.length > 0 ? choices.join("|") : isMap ? "KEY=VALUE" : value?.toUpperCase(),
    choices,
    isMap,
    text: own(texts)
  }
}

const argumentOf = (definition: string, doc: HelpDoc.HelpDoc): ArgumentShape => {
  const texts = paragraphs(doc)
  return {
    name: definition.replace(/^<(.*)>$/, "$1").toUpperCase(),
    isRequired: !texts.includes(optional),
    text: own(texts)
  }
}

const config = CliConfig.make({ showBuiltIns: false })

/** What a command takes, as its declaration says it: read from the help that is made of it, so that options are declared once. */
export const shapeOf = ({ descriptor }: { readonly descriptor: Descriptor.Command<unknown> }): Shape => {
  const [name = ""] = Descriptor.getNames(descriptor)
  const shape = {
    name,
    text: "",
    options: new Array<OptionShape>(),
    arguments: new Array<ArgumentShape>()
  }
  let heading = ""
  for (const part of parts(Descriptor.getHelp(descriptor, config))) {
    if (part._tag === "Header") {
      heading = spanText(part.value)
    } else if (part._tag === "Paragraph" && heading === "DESCRIPTION") {
      shape.text = spanText(part.value)
    } else if (part._tag === "DescriptionList") {
      for (const [span, doc] of part.definitions) {
        const definition = spanText(span)
        if (heading === "ARGUMENTS") {
          shape.arguments.push(argumentOf(definition, doc))
        } else if (heading === "OPTIONS") {
          shape.options.push(optionOf(definition, doc))
        }
      }
    }
  }
  return shape
}

/**
 * Runs a command with words. What is wrong with them is its error, in one form for all faults.
 *
 * @param write surrounds whatever is written to the console
 */
export const runner = <Name extends string, R, A>(
  command: Command.Command<Name, R, never, A>,
  version: string,
  write: (line: () => void) => void
) => {
  // What @effect/cli itself says to standard error, before the command begins, is told by `runner`'s error.
  let hasBegun = false
  const run = Command.run(
    Command.transformHandler(command, (work) => {
      hasBegun = true
      return work
    }),
    { name: "dblive", version, executable: "dblive" }
  )
  return (words: ReadonlyArray<string>) =>
    Effect.flatMap(Console.consoleWith(Effect.succeed), ({ unsafe, ...console }) => {
      hasBegun = false
      return Effect.withConsole(run(["node", "dblive", ...words]), {
        ...console,
        log: (...args) => Effect.sync(() => write(() => unsafe.log(...args))),
        error: (...args) => Effect.sync(() => hasBegun ? write(() => unsafe.error(...args)) : undefined),
        unsafe: { ...unsafe, error: (...args) => write(() => unsafe.error(...args)) }
      })
    }).pipe(
      Effect.mapError(({ error }) => withoutColours(HelpDoc.toAnsiText(error)).trim()),
      Effect.provide(CliConfig.layer({ showBuiltIns: false }))
    )
}

/**
 * What a command takes, as its declaration says it: read from the help that @effect/cli makes of it, so that options are declared once.
 */
import * as CliConfig from "@effect/cli/CliConfig"
import * as Descriptor from "@effect/cli/CommandDescriptor"
import type * as HelpDoc from "@effect/cli/HelpDoc"
import type * as Span from "@effect/cli/HelpDoc/Span"

/** One option. */
export interface OptionShape {
  /** With their dashes; the long one is the last. */
  readonly names: ReadonlyArray<string>
  /** What its value is called; `undefined` where it has none. */
  readonly value: string | undefined
  /** The words that are accepted, where there are few. */
  readonly choices: ReadonlyArray<string>
  /** Its value is `key=value`, and it may be repeated. */
  readonly isMap: boolean
  readonly text: string
}

/** One argument without a name. */
export interface ArgumentShape {
  readonly name: string
  readonly isRequired: boolean
  readonly text: string
}

/** What a command takes. */
export interface Shape {
  readonly name: string
  readonly text: string
  readonly options: ReadonlyArray<OptionShape>
  readonly arguments: ReadonlyArray<ArgumentShape>
}

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

/** What a command takes. */
export const shapeOf = (command: Descriptor.Command<unknown>): Shape => {
  const [name = ""] = Descriptor.getNames(command)
  const shape = {
    name,
    text: "",
    options: new Array<OptionShape>(),
    arguments: new Array<ArgumentShape>()
  }
  let heading = ""
  for (const part of parts(Descriptor.getHelp(command, config))) {
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

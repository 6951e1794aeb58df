/**
 * The translation of one source file from Effect 3 to Effect 4.
 *
 * Each node of the syntax tree is written as it stands in the source, but where the table of names (`names.ts`) or a changed call
 * (`calls.ts`) says otherwise. So comments, blank lines and line breaks stay. Imports of Effect are written anew from what the
 * translated file uses.
 */
import ts from "typescript"
import { calls } from "./calls.js"
import { effects, functions, members, modules, properties, tags, typeArguments } from "./names.js"

/** Where a name of Effect 3 is found: its module, and its name there. */
interface Imported {
  readonly module: string
  /** The name of a named import; `undefined` for a whole module. */
  readonly name: string | undefined
  /** Whether the module is imported as a name of its package: `import { Effect } from "effect"`. */
  readonly fromRoot: boolean
  /** The name that the source gives to a module, where it is not the module's own. */
  readonly alias?: string | undefined
}

interface Used {
  readonly module: string
  readonly name: string | undefined
  readonly fromRoot: boolean
  readonly local: string
  typeOnly: boolean
}

const isEffect = (module: string): boolean =>
  module === "effect" || module.startsWith("effect/") || module.startsWith("@effect/")

/** Whether a module is a file of this repository. */
const isOwn = (module: string): boolean => /^(?:src|test|examples)\//.test(module)

/** Whether a package exports its modules as names: `effect`, `@effect/sql`, `effect/sql`. */
const isRoot = (module: string): boolean =>
  module.startsWith("@") ? module.split("/").length === 2 : module.split("/").length === 1

/** The last part of a module's path, which is its name. */
const nameOf = (module: string): string => {
  const last = module.slice(module.lastIndexOf("/") + 1)
  return last.endsWith(".js") ? last.slice(0, -".js".length) : last
}

/** Whether a reference vanishes when types are taken away. */
const isType = (node: ts.Node): boolean => {
  for (let at: ts.Node = node; at.parent !== undefined; at = at.parent) {
    const { parent } = at
    if (ts.isHeritageClause(parent)) {
      return parent.token === ts.SyntaxKind.ImplementsKeyword || ts.isInterfaceDeclaration(parent.parent)
    }
    if (ts.isTypeNode(parent) && !ts.isExpressionWithTypeArguments(parent)) {
      return true
    }
    if (
      ts.isStatement(parent) ||
      ts.isExpression(parent) && !ts.isPropertyAccessExpression(parent) && !ts.isExpressionWithTypeArguments(parent)
    ) {
      return ts.isInterfaceDeclaration(parent) || ts.isTypeAliasDeclaration(parent)
    }
  }
  return false
}

/** The path of a file of the source (`src/x/y.js`) as `from` (`src/z.ts`) imports it. */
const relative = (from: string, to: string): string => {
  const folders = from.split("/").slice(0, -1)
  const target = to.split("/")
  let common = 0
  while (common < folders.length && folders[common] === target[common]) {
    common++
  }
  const up = folders.length - common
  return `${up === 0 ? "./" : "../".repeat(up)}${target.slice(common).join("/")}`
}

/** The file that is being written. */
export class Translation {
  private readonly imported = new Map<string, Imported>()
  private readonly used = new Map<string, Used>()
  private readonly text: string

  constructor(
    readonly source: ts.SourceFile,
    private readonly path: string,
    private readonly checker: ts.TypeChecker | undefined,
    private readonly isLeftOut: (file: string) => boolean
  ) {
    this.text = source.text
    for (const statement of source.statements) {
      if (ts.isImportDeclaration(statement) && ts.isStringLiteral(statement.moduleSpecifier)) {
        this.readImport(statement, statement.moduleSpecifier.text)
      }
    }
  }

  private readImport(statement: ts.ImportDeclaration, module: string): void {
    const bindings = statement.importClause?.namedBindings
    if (!isEffect(module) || bindings === undefined) {
      return
    }
    if (ts.isNamespaceImport(bindings)) {
      const { text } = bindings.name
      const alias = text === nameOf(module) ? undefined : text
      this.imported.set(text, { module, name: undefined, fromRoot: false, alias })
      return
    }
    for (const element of bindings.elements) {
      const name = (element.propertyName ?? element.name).text
      this.imported.set(
        element.name.text,
        isRoot(module)
          ? { module: `${module}/${name}`, name: undefined, fromRoot: true }
          : { module, name, fromRoot: false }
      )
    }
  }

  /** Whether it exports a module that the edition does not have. */
  private exportsLeftOut(statement: ts.Statement): boolean {
    if (
      !ts.isExportDeclaration(statement) || statement.moduleSpecifier === undefined ||
      !ts.isStringLiteral(statement.moduleSpecifier)
    ) {
      return false
    }
    const from = new URL(statement.moduleSpecifier.text, `file:///${this.path}`).pathname.slice(1)
    return this.isLeftOut(from.endsWith(".js") ? `${from.slice(0, -".js".length)}.ts` : from)
  }

  /** The translated file. */
  whole(): string {
    const statements = this.source.statements.filter((statement) =>
      !this.exportsLeftOut(statement) &&
      !(ts.isImportDeclaration(statement) && ts.isStringLiteral(statement.moduleSpecifier) &&
        isEffect(statement.moduleSpecifier.text))
    )
    const first = this.source.statements.find(ts.isImportDeclaration)
    const head = first === undefined ? "" : this.text.slice(0, first.getStart(this.source))
    let body = ""
    for (const statement of statements) {
      const start = statement.getStart(this.source)
      const before = statement.getFullStart() < head.length
        ? this.text.slice(Math.max(statement.getFullStart(), head.length), start)
        : this.text.slice(statement.getFullStart(), start)
      body += before + this.write(statement)
    }
    const imports = this.imports()
    // The first import that stays stands in a line of its own already.
    return `${head}${imports}${imports !== "" && body.startsWith("\n") ? body.slice(1) : body}${
      this.text.slice(this.source.statements.at(-1)?.end ?? head.length)
    }`
  }

  private imports(): string {
    const lines: Array<string> = []
    const named = new Map<string, Array<string>>()
    for (const { fromRoot, local, module, name, typeOnly } of this.used.values()) {
      const own = isOwn(module)
      const from = own ? relative(this.path, module) : fromRoot ? module.slice(0, module.lastIndexOf("/")) : module
      if (name === undefined && !fromRoot) {
        lines.push(`import ${typeOnly ? "type " : ""}* as ${local} from "${from}"\n`)
      } else {
        const exported = name ?? nameOf(module)
        const specifier = exported === local ? local : `${exported} as ${local}`
        const key = `${typeOnly ? "type " : ""}|${from}`
        named.set(key, [...(named.get(key) ?? []), specifier])
      }
    }
    for (const [key, names] of named) {
      const [type, from] = key.split("|")
      // A type beside values of one module is marked in the braces.
      if (type === "type " && named.has(`|${from}`)) {
        continue
      }
      const types = type === "" ? named.get(`type |${from}`) ?? [] : []
      lines.push(
        `import ${type}{ ${[...names, ...types.map((name) => `type ${name}`)].sort().join(", ")} } from "${from}"\n`
      )
    }
    return lines.join("")
  }

  /** The local name of a whole module of Effect 4; imported from here on. */
  module(module: string, at: ts.Node, fromRoot = false, alias?: string): string {
    return this.use({ module, name: undefined, fromRoot, local: alias ?? nameOf(module), typeOnly: isType(at) })
  }

  private use(reference: Used): string {
    const key = `${reference.module}#${reference.name ?? ""}`
    const known = this.used.get(key)
    if (known === undefined) {
      this.used.set(key, reference)
      return reference.local
    }
    known.typeOnly = known.typeOnly && reference.typeOnly
    return known.local
  }

  /** What a name stands for, where it is an import of Effect and no local name hides it. */
  private importOf(identifier: ts.Identifier): Imported | undefined {
    const found = this.imported.get(identifier.text)
    if (found === undefined || this.checker === undefined) {
      return found
    }
    const symbol = ts.isShorthandPropertyAssignment(identifier.parent)
      ? this.checker.getShorthandAssignmentValueSymbol(identifier.parent)
      : ts.isExportSpecifier(identifier.parent)
      ? this.checker.getExportSpecifierLocalTargetSymbol(identifier.parent)
      : this.checker.getSymbolAtLocation(identifier)
    const declaration = symbol?.declarations?.[0]
    return declaration !== undefined && (ts.isNamespaceImport(declaration) || ts.isImportSpecifier(declaration))
      ? found
      : undefined
  }

  /** `module.member` of Effect 3 for an access to a module's export. */
  exportOf(node: ts.Node): string | undefined {
    const [left, right] = ts.isPropertyAccessExpression(node)
      ? [node.expression, node.name]
      : ts.isQualifiedName(node)
      ? [node.left, node.right]
      : [node, undefined]
    if (!ts.isIdentifier(left)) {
      return undefined
    }
    const found = this.importOf(left)
    return found === undefined
      ? undefined
      : right !== undefined && found.name === undefined
      ? `${found.module}.${right.text}`
      : right === undefined && found.name !== undefined
      ? `${found.module}.${found.name}`
      : undefined
  }

  /** A node and all below it, without the comments before it. */
  write(node: ts.Node): string {
    return this.changed(node) ?? this.unchanged(node)
  }

  /** Several nodes, as arguments stand in a call. */
  list(nodes: ReadonlyArray<ts.Node>): string {
    return nodes.map((node) => this.write(node)).join(", ")
  }

  /** A node whose own form stays, with all below it translated. */
  unchanged(node: ts.Node): string {
    let written = ""
    let at = node.getStart(this.source)
    ts.forEachChild(node, (child) => {
      const start = child.getStart(this.source)
      if (start >= at) {
        written += this.text.slice(at, start) + this.write(child)
        at = child.end
      }
    })
    return written + this.text.slice(at, node.end)
  }

  private changed(node: ts.Node): string | undefined {
    if (ts.isCallExpression(node)) {
      const target = this.calleeOf(node.expression)
      const changed = target === undefined || !Object.hasOwn(calls, target) ? undefined : calls[target]?.(node, this)
      if (changed !== undefined) {
        return changed
      }
    }
    if (ts.isYieldExpression(node) && node.expression !== undefined) {
      const run = this.runOf(node.expression)
      return run === undefined ? undefined : `yield* ${run}`
    }
    if (ts.isPropertyAccessExpression(node) || ts.isQualifiedName(node)) {
      return this.access(node)
    }
    if (ts.isIdentifier(node)) {
      return this.identifier(node)
    }
    if (ts.isTypeReferenceNode(node)) {
      return this.withTypeArguments(node.typeName, node.typeArguments)
    }
    if (ts.isExpressionWithTypeArguments(node)) {
      return this.withTypeArguments(node.expression, node.typeArguments)
    }
    if (ts.isBindingElement(node)) {
      return this.binding(node)
    }
    if (ts.isStringLiteral(node)) {
      const compared = comparedWith(node)
      const tag = compared === undefined ? undefined : this.tag(node, compared)
      if (tag !== undefined) {
        return tag
      }
    }
    if (ts.isStringLiteral(node) && isSpecifier(node) && isEffect(node.text)) {
      return `"${modules[node.text] ?? node.text}"`
    }
    return undefined
  }

  /** A type whose arguments are others in Effect 4. */
  private withTypeArguments(name: ts.Node, written: ReadonlyArray<ts.TypeNode> | undefined): string | undefined {
    const target = written === undefined ? undefined : this.exportOf(name)
    const positions = target === undefined ? undefined : typeArguments[target]
    return written === undefined || positions === undefined
      ? undefined
      : `${this.write(name)}<${this.list(positions.flatMap((position) => written[position] ?? []))}>`
  }

  /** What is called: an export, a method, or (with `()` behind it) what a call of an export answers. */
  private calleeOf(node: ts.Expression): string | undefined {
    if (ts.isCallExpression(node)) {
      const inner = this.exportOf(node.expression)
      return inner === undefined ? undefined : `${inner}()`
    }
    return this.exportOf(node) ?? this.methodOf(node)
  }

  /** A tag that another one is compared with. */
  private tag(node: ts.StringLiteral, other: ts.Expression): string | undefined {
    const declared = ts.isPropertyAccessExpression(other) ? this.declaredAs(other.name) : []
    const tag = declared.map((name) => tags[name]?.[node.text]).find((tag) => tag !== undefined)
    return tag === undefined ? undefined : `"${tag}"`
  }

  private access(node: ts.PropertyAccessExpression | ts.QualifiedName): string | undefined {
    const name = ts.isQualifiedName(node) ? node.right : node.name
    const left = ts.isQualifiedName(node) ? node.left : node.expression
    const found = ts.isIdentifier(left) ? this.importOf(left) : undefined
    if (found !== undefined && found.name === undefined) {
      return this.member(found, name.text, node)
    }
    const nested = this.nested(left, name.text, node)
    if (nested !== undefined) {
      return nested
    }
    const called = ts.isQualifiedName(node)
      ? undefined
      : this.declaredAs(name).map((declared) => functions[declared]).find((target) => target !== undefined)
    if (called !== undefined) {
      const dot = called.lastIndexOf(".")
      return `${this.module(called.slice(0, dot), node)}.${called.slice(dot + 1)}(${this.write(left)})`
    }
    const renamed = this.propertyName(name)
    return renamed === undefined || ts.isQualifiedName(node)
      ? undefined
      : this.write(left) + this.text.slice(left.end, name.getStart(this.source)) + renamed
  }

  /** A type that a namespace inside of a module exports: `Metric.Metric.Counter`. */
  private nested(left: ts.Node, name: string, at: ts.Node): string | undefined {
    const outer = this.exportOf(left)
    const dot = outer?.lastIndexOf(".") ?? -1
    if (outer === undefined || dot < 0) {
      return undefined
    }
    const module = outer.slice(0, dot)
    const target = members[module]?.[`${outer.slice(dot + 1)}.${name}`]
    return target === undefined ? undefined : `${this.module(modules[module] ?? module, at)}.${target}`
  }

  /** An export of a module, where Effect 4 has it. */
  private member(found: Imported, name: string, at: ts.Node): string {
    const target = members[found.module]?.[name]
    const dot = target === undefined || target.endsWith(")") ? -1 : target.lastIndexOf(".")
    if (target !== undefined && dot > 0) {
      // In another module: `effect/Semaphore.makeUnsafe`; or a value of its own: `"Debug"`.
      return target.startsWith("\"")
        ? target
        : `${this.module(target.slice(0, dot), at, found.fromRoot && !isOwn(target))}.${target.slice(dot + 1)}`
    }
    if (target?.startsWith("\"")) {
      return target
    }
    const module = modules[found.module] ?? found.module
    const local = this.module(module, at, found.fromRoot && !isOwn(module), found.alias)
    return `${local}.${target ?? name}`
  }

  private identifier(node: ts.Identifier): string | undefined {
    const { parent } = node
    const isName =
      (ts.isPropertyAccessExpression(parent) || ts.isPropertyAssignment(parent) || ts.isPropertySignature(parent) ||
          ts.isMethodDeclaration(parent) || ts.isMethodSignature(parent) || ts.isPropertyDeclaration(parent) ||
          ts.isImportSpecifier(parent)) && parent.name === node || ts.isQualifiedName(parent) && parent.right === node
    const found = isName ? undefined : this.importOf(node)
    if (found === undefined) {
      return undefined
    }
    const local = found.name === undefined
      ? this.module(modules[found.module] ?? found.module, node, found.fromRoot, found.alias)
      : this.named(found, found.name, node)
    return ts.isShorthandPropertyAssignment(parent) && local !== node.text ? `${node.text}: ${local}` : local
  }

  private named(found: Imported, name: string, node: ts.Identifier): string {
    const target = members[found.module]?.[name]
    if (target !== undefined && (isOwn(target) || target.startsWith("effect/"))) {
      const dot = target.lastIndexOf(".")
      return this.use({
        module: target.slice(0, dot),
        name: target.slice(dot + 1),
        fromRoot: false,
        local: target.slice(dot + 1),
        typeOnly: isType(node)
      })
    }
    const exported = target ?? name
    const local = node.text === name ? exported : node.text
    return this.use({
      module: modules[found.module] ?? found.module,
      name: exported,
      fromRoot: false,
      local,
      typeOnly: isType(node)
    })
  }

  private binding(node: ts.BindingElement): string | undefined {
    const name = node.propertyName ?? node.name
    const renamed = ts.isIdentifier(name) ? this.propertyName(name) : undefined
    if (renamed === undefined) {
      return undefined
    }
    const initializer = node.initializer === undefined ? "" : ` = ${this.write(node.initializer)}`
    return `${renamed}: ${this.write(node.name)}${initializer}`
  }

  /** `module#Type.member` of Effect 3 for what a name of a property stands for. */
  declaredAs(name: ts.Node): ReadonlyArray<string> {
    let symbol = this.checker?.getSymbolAtLocation(name)
    if (symbol !== undefined && ts.isBindingElement(name.parent) && this.checker !== undefined) {
      const type = this.checker.getTypeAtLocation(name.parent.parent)
      symbol = type.getProperty((name as ts.Identifier).text)
    }
    return (symbol?.declarations ?? []).flatMap((declaration) => {
      const { parent } = declaration
      const module = moduleOf(declaration.getSourceFile().fileName)
      const container = ts.isInterfaceDeclaration(parent) || ts.isClassDeclaration(parent)
        ? parent.name?.text
        : undefined
      return module === undefined
        ? []
        : [`${module}#${container ?? ""}.${symbol!.name}`, `${module}#*.${symbol!.name}`]
    })
  }

  /** The effect of a value that is one by itself in Effect 3 alone: a result, a fiber. */
  private runOf(node: ts.Expression): string | undefined {
    const type = this.checker?.getTypeAtLocation(node)
    const name = (type?.aliasSymbol ?? type?.symbol)?.name
    const target = name === undefined || !Object.hasOwn(effects, name) ? undefined : effects[name]
    if (target === undefined) {
      return undefined
    }
    const dot = target.lastIndexOf(".")
    return `${this.module(target.slice(0, dot), node)}${target.slice(dot)}(${this.write(node)})`
  }

  private propertyName(name: ts.Node): string | undefined {
    for (const declared of this.declaredAs(name)) {
      if (Object.hasOwn(properties, declared)) {
        return properties[declared]
      }
    }
    return undefined
  }

  private methodOf(node: ts.Node): string | undefined {
    return ts.isPropertyAccessExpression(node)
      ? this.declaredAs(node.name).find((declared) => Object.hasOwn(calls, declared))
      : undefined
  }
}

/** What a string is compared with: `either._tag === "Left"`, `assert.strictEqual(either._tag, "Left")`. */
const comparedWith = ({ parent }: ts.StringLiteral): ts.Expression | undefined =>
  ts.isBinaryExpression(parent) ? parent.left : ts.isCallExpression(parent) ? parent.arguments[0] : undefined

/** Whether a string names a module. */
const isSpecifier = (node: ts.StringLiteral): boolean => {
  const { parent } = node
  return ts.isExportDeclaration(parent) || ts.isExternalModuleReference(parent) ||
    ts.isLiteralTypeNode(parent) && ts.isImportTypeNode(parent.parent) ||
    ts.isCallExpression(parent) && parent.expression.kind === ts.SyntaxKind.ImportKeyword
}

/** The module of Effect that a file of declarations is. */
const moduleOf = (file: string): string | undefined => {
  const at = file.lastIndexOf("/node_modules/")
  const path = at < 0 ? "" : file.slice(at + "/node_modules/".length)
  if (!path.startsWith("effect/") && !path.startsWith("@effect/") || !path.endsWith(".d.ts")) {
    return undefined
  }
  return path.slice(0, -".d.ts".length).replace("/dist/dts", "")
}

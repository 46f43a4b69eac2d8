// Runs the extension with a stub of the `vscode` module: node vscode_stub.js FOLDER COMMAND...
"use strict";
const Module = require("module");
const path = require("path");
const [folder, ...command] = process.argv.slice(2);

class Position { constructor(line, character) { Object.assign(this, { line, character }); } }
class Range { constructor(start, end) { Object.assign(this, { start, end }); } }
class Plain { constructor(...given) { this.given = given; } }
class Edit { constructor() { this.edits = {}; } set(uri, edits) { this.edits[uri] = edits; } }
class Diagnostic { constructor(range, message, severity) { Object.assign(this, { range, message, severity }); } }

const shown = new Map();
const waiting = [];
const handlers = {};
const providers = {};
const collection = {
  set(uri, found) { shown.set(String(uri), found); waiting.splice(0).forEach((done) => done(found)); },
  clear() {}, dispose() {},
};
const register = (kind) => (_, provider) => { providers[kind] = provider; return { dispose() {} }; };
const on = (name) => (handler) => { handlers[name] = handler; return { dispose() {} }; };
const document = {
  languageId: "chainlang", version: 1, text: "main = 3:E(max_token=5)\n",
  uri: "file://" + path.join(folder, "a.chain"), getText() { return this.text; },
};
const vscode = {
  Position, Range, Diagnostic, TextEdit: Plain, Hover: Plain, Location: Plain, MarkdownString: Plain,
  CompletionItem: Plain, CodeAction: Plain, WorkspaceEdit: Edit,
  CodeActionKind: { QuickFix: "quickfix" },
  Uri: { parse: (text) => text },
  languages: {
    createDiagnosticCollection: () => collection,
    registerHoverProvider: register("hover"),
    registerCompletionItemProvider: register("completion"),
    registerDefinitionProvider: register("definition"),
    registerRenameProvider: register("rename"),
    registerDocumentFormattingEditProvider: register("format"),
    registerCodeActionsProvider: register("actions"),
  },
  window: { showWarningMessage: (text) => console.log("warning:", text) },
  workspace: {
    getConfiguration: () => ({ get: () => command }),
    workspaceFolders: [{ uri: { fsPath: folder, toString: () => "file://" + folder } }],
    textDocuments: [document],
    onDidOpenTextDocument: on("open"),
    onDidChangeTextDocument: on("change"),
    onDidCloseTextDocument: on("close"),
  },
};
const load = Module._load;
Module._load = (name, ...rest) => (name === "vscode" ? vscode : load(name, ...rest));
const extension = require(path.join(__dirname, "../../editors/vscode/extension.js"));
const published = () => new Promise((done) => waiting.push(done));

(async () => {
  const first = published();
  await extension.activate({ subscriptions: [] });
  if (!providers.hover) return;
  const found = await first;
  console.log("shown:", found[0].message.split("\n")[0], found[0].range.start.character);
  const [action] = await providers.actions.provideCodeActions(document, found[0].range, { diagnostics: found });
  console.log("fix:", action.given[0], action.edit.edits[document.uri][0].given[1]);
  const hover = await providers.hover.provideHover(document, new Position(0, 9));
  console.log("hover:", hover.given[0].given[0].split("\n")[0]);
  const next = published();
  document.version = 2;
  document.text = "main=3:E\n";
  handlers.change({
    document,
    contentChanges: [{ range: new Range(new Position(0, 0), new Position(1, 0)), text: document.text }],
  });
  console.log("left:", (await next).length);
  const items = await providers.completion.provideCompletionItems(document, new Position(0, 7));
  console.log("offered:", items.slice(0, 2).map((one) => one.given[0]).join(" "));
  const options = { tabSize: 2, insertSpaces: true };
  const edits = await providers.format.provideDocumentFormattingEdits(document, options);
  console.log("formatted:", edits[0].given[1].trim());
  await extension.deactivate();
})();

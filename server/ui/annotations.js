// What people add to a recording: tags, a note, a legal hold.

import { patchJson, recordingPath, taggedPath } from "/ui/api.js";
import { byId, icon, make, setText } from "/ui/dom.js";
import { attempt, showNotice } from "/ui/frame.js";

export class Annotations {
  constructor(recording) {
    this.recording = recording;
    byId("tag-form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.addTag();
    });
    byId("note").addEventListener("input", () => this.showWhetherSaved());
    byId("note-save").addEventListener("click", () => this.save({ note: byId("note").value }, "Note saved"));
    byId("hold").addEventListener("change", (event) => this.setHold(event.target.checked));
    byId("note").value = recording.note;
    this.show();
  }

  show() {
    const { tags, legal_hold } = this.recording;
    byId("tags").replaceChildren(...tags.map((tag) => this.makeTag(tag)));
    byId("hold").checked = legal_hold;
    this.showWhetherSaved();
  }

  showWhetherSaved() {
    byId("note-save").disabled = byId("note").value === this.recording.note;
  }

  makeTag(tag) {
    const remove = () => this.save({ tags: this.recording.tags.filter((each) => each !== tag) }, `Tag ${tag} removed`);
    return make(
      "li",
      { class: "tag" },
      make("a", { href: taggedPath(tag) }, tag),
      make("button", { type: "button", "aria-label": `Remove tag ${tag}`, click: remove }, icon("close")),
    );
  }

  async addTag() {
    const field = byId("tag-new");
    const tag = field.value.trim();
    if (!tag) return;
    if (await this.save({ tags: [...this.recording.tags, tag] }, `Tag ${tag} added`)) field.value = "";
  }

  async setHold(isOn) {
    const said = isOn ? "On legal hold: nothing deletes it" : "Legal hold lifted";
    if (!(await this.save({ legal_hold: isOn }, said))) byId("hold").checked = !isOn;
  }

  async save(change, said) {
    return attempt(async () => {
      this.recording = await patchJson(recordingPath(this.recording.id), change);
      this.show();
      showNotice("");
      setText(byId("saved"), said);
    });
  }
}

#include "conversion/json_body.h"

#include <cstring>

#include "conversion/json_text.h"

namespace postback::conversion {
namespace {

namespace ondemand = simdjson::ondemand;

constexpr std::string_view kSpace = " \t\r\n";

std::string_view without_space_behind(std::string_view text) {
  const size_t last = text.find_last_not_of(kSpace);
  return text.substr(0, last == std::string_view::npos ? 0 : last + 1);
}

simdjson::error_code visit(ondemand::value value, int depth);

simdjson::error_code visit_array(ondemand::value value, int depth) {
  if (depth > kJsonDepthMax) return simdjson::DEPTH_ERROR;
  ondemand::array array;
  if (const auto error = value.get_array().get(array)) return error;
  for (auto element : array) {
    ondemand::value child;
    if (const auto error = std::move(element).get(child)) return error;
    if (const auto error = visit(child, depth)) return error;
  }
  return simdjson::SUCCESS;
}

simdjson::error_code visit_object(ondemand::value value, int depth) {
  if (depth > kJsonDepthMax) return simdjson::DEPTH_ERROR;
  ondemand::object object;
  if (const auto error = value.get_object().get(object)) return error;
  for (auto member : object) {
    ondemand::field field;
    if (const auto error = std::move(member).get(field)) return error;
    std::string_view name;
    if (const auto error = field.unescaped_key().get(name)) return error;
    if (const auto error = visit(field.value(), depth)) return error;
  }
  return simdjson::SUCCESS;
}

// On-Demand validates only what is asked for, so everything is. `depth`: levels around the value.
simdjson::error_code visit(ondemand::value value, int depth) {
  ondemand::json_type type;
  if (const auto error = value.type().get(type)) return error;
  switch (type) {
    case ondemand::json_type::array:
      return visit_array(value, depth + 1);
    case ondemand::json_type::object:
      return visit_object(value, depth + 1);
    case ondemand::json_type::string: {
      std::string_view text;
      return value.get_string().get(text);
    }
    case ondemand::json_type::number:
    case ondemand::json_type::boolean:
    case ondemand::json_type::null:
      return is_json_scalar(without_space_behind(value.raw_json_token()))
                 ? simdjson::SUCCESS
                 : simdjson::TAPE_ERROR;
  }
  return simdjson::TAPE_ERROR;
}

// The value of a member of the root.
simdjson::error_code read_value(ondemand::value value, Parameter* parameter) {
  ondemand::json_type type;
  if (const auto error = value.type().get(type)) return error;
  if (type == ondemand::json_type::string) return value.get_string().get(parameter->value);
  parameter->is_json = true;
  const std::string_view token = value.raw_json_token();
  if (const auto error = visit(value, 1)) return error;
  if (type != ondemand::json_type::array && type != ondemand::json_type::object) {
    parameter->value = without_space_behind(token);
    return simdjson::SUCCESS;
  }
  // The iterator now stands on the token behind the array or object.
  const char* behind = nullptr;
  if (const auto error = value.current_location().get(behind)) return error;
  parameter->value =
      without_space_behind({token.data(), static_cast<size_t>(behind - token.data())});
  return simdjson::SUCCESS;
}

void raise_duplicate(std::string_view name, ParameterList* list) {
  std::string message = "The JSON body holds the name ";
  append_shown(&message, name);
  message += " twice";
  list->fault().raise(Reason::duplicate_key, name, message);
}

void raise_invalid(std::string_view detail, ParameterList* list) {
  std::string message = "The body is not valid JSON: ";
  message += detail;
  list->fault().raise(Reason::invalid_json, {}, message);
}

// SUCCESS when the document ends behind what was visited.
simdjson::error_code expect_end(ondemand::document& document) {
  const auto error = document.current_location().error();
  return error == simdjson::OUT_OF_BOUNDS ? simdjson::SUCCESS : simdjson::TRAILING_CONTENT;
}

// Adds the members of the root to the list.
simdjson::error_code read_members(ondemand::document& document, ParameterList* list) {
  ondemand::object root;
  if (const auto error = document.get_object().get(root)) return error;
  const size_t first_index = list->parameters().size();
  for (auto member : root) {
    ondemand::field field;
    if (const auto error = std::move(member).get(field)) return error;
    Parameter parameter;
    parameter.source = Parameter::Source::body;
    if (const auto error = field.unescaped_key().get(parameter.name)) return error;
    if (const auto error = read_value(field.value(), &parameter)) return error;
    for (size_t i = first_index; i < list->parameters().size(); ++i) {
      if (list->parameters()[i].name == parameter.name) raise_duplicate(parameter.name, list);
    }
    // What follows in a document that is too large goes unread: it is refused already.
    if (!list->add(parameter)) return simdjson::SUCCESS;
  }
  return expect_end(document);
}

// A root that is not an object is refused; whether as JSON or not is what this decides.
simdjson::error_code visit_root(ondemand::document& document, std::string_view body) {
  const size_t first = body.find_first_not_of(kSpace);
  if (first == std::string_view::npos) return simdjson::EMPTY;
  if (body[first] == '[') {
    ondemand::array array;
    if (const auto error = document.get_array().get(array)) return error;
    for (auto element : array) {
      ondemand::value child;
      if (const auto error = std::move(element).get(child)) return error;
      if (const auto error = visit(child, 1)) return error;
    }
    return expect_end(document);
  }
  if (body[first] == '"') {
    std::string_view string;
    if (const auto error = document.get_string().get(string)) return error;
    return expect_end(document);
  }
  return is_json_scalar(without_space_behind(body.substr(first))) ? simdjson::SUCCESS
                                                                  : simdjson::TAPE_ERROR;
}

}  // namespace

void JsonBody::parse(std::string_view body, ParameterList* list) {
  if (body.starts_with("\xEF\xBB\xBF")) body.remove_prefix(3);
  // Checked here because simdjson 3.0 lets some lone surrogates pass.
  if (has_lone_surrogate(body)) return raise_invalid("a lone surrogate in a \\u escape", list);

  if (padded_.size() < body.size() + simdjson::SIMDJSON_PADDING) {
    padded_.resize(body.size() + simdjson::SIMDJSON_PADDING);
  }
  body.copy(padded_.data(), body.size());
  std::memset(padded_.data() + body.size(), ' ', simdjson::SIMDJSON_PADDING);
  const simdjson::padded_string_view text(padded_.data(), body.size(), padded_.size());
  ondemand::document document;
  simdjson::error_code error = parser_.iterate(text).get(document);
  const size_t first = body.find_first_not_of(kSpace);
  const bool is_object = first != std::string_view::npos && body[first] == '{';
  if (!error) error = is_object ? read_members(document, list) : visit_root(document, body);
  if (error) return raise_invalid(simdjson::error_message(error), list);
  if (!is_object) {
    list->fault().raise(Reason::json_not_object, {}, "The JSON body is not an object");
  }
}

}  // namespace postback::conversion

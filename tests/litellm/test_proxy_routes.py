"""Every route that LiteLLM's Proxy registers is held for, free, or refused; none is forgotten.

Walks the router of the installed LiteLLM, with all its lazy features. A new version may add
routes: each is to be entered below, after reading what it does.
"""

from __future__ import annotations

import inspect
import re
from typing import get_args

import pytest
from litellm_proxy import VERSION

from budgetledger.litellm.proxy.call_kinds import ESTIMATED, FREE, MEASURED, REFUSED, unlisted
from budgetledger.litellm.proxy.gate import UNHOOKED

pytestmark = pytest.mark.skipif(VERSION < (1, 108), reason="older versions have other routes")

# Modules that read and write the Proxy's own settings, keys, logs and pages.
OWN = tuple(
    """
    analytics_endpoints caching_routes common_utils credential_endpoints discovery_endpoints
    guardrails lens logging_endpoints management management_endpoints memory moyai_endpoints
    plugin_routes policy_engine public_endpoints search_endpoints.search_tool_management
    spend_tracking telemetry tracing_endpoints ui_crud_endpoints _lazy_features prompts a2a
    agent_endpoints.endpoints pass_through_endpoints.pass_through_endpoints
    vector_store_endpoints.management_endpoints anthropic_endpoints.gateway_endpoints
    anthropic_endpoints.claude_code_endpoints _experimental.mcp_server.discoverable_endpoints
    _experimental.mcp_server.byok_oauth_endpoints health_endpoints litellm_enterprise
    fastapi.applications vertex_ai_endpoints.langfuse_endpoints
    """.split()  # noqa: SIM905
)

# Endpoints of other modules that only read, count or translate.
FREE_ENDPOINTS = set(
    """
    count_tokens event_logging_batch google_count_tokens responses_input_tokens cursor_model_list
    list_search_tools index_create index_list get_agent_card list_tool_rest_api test_connection
    test_tools_list
    add_messages alerting_settings cancel_anthropic_beta_headers_reload
    cancel_model_cost_map_reload claim_onboarding_link config_yaml_endpoint create_assistant
    create_threads delete_assistant delete_callback delete_config_general_settings fallback_login
    get_adaptive_router_state get_anthropic_beta_headers_reload_status get_assistants get_config
    get_config_general_settings get_config_list get_favicon get_image get_logo_url get_messages
    get_model_cost_map_reload_status get_model_cost_map_source get_routes get_thread home
    invitation_delete invitation_info invitation_update login login_v2 login_v3 login_v3_exchange
    model_deprecations model_group_info model_info model_info_lookup model_info_v1 model_info_v2
    model_list model_metrics model_metrics_exceptions model_metrics_slow_responses model_settings
    model_streaming_metrics new_invitation onboarding reload_anthropic_beta_headers
    reload_model_cost_map schedule_anthropic_beta_headers_reload schedule_model_cost_map_reload
    supported_openai_params token_counter transform_request update_config
    update_config_general_settings
    """.split()  # noqa: SIM905
)

# Endpoints whose source does not name the kind that their helper passes to the hook, or that
# call a function of LiteLLM, which asks `async_pre_call_deployment_hook`.
HELPED = {
    "async_queue_request": ["acompletion"],
    "decisions": ["adecisions"],
    "systemone": ["asystemone"],
    "handler_container_id": ["alist_container_files"],
    "handler_multipart_upload": ["aupload_container_file"],
    "handler_container_file": ["aretrieve_container_file", "adelete_container_file"],
    "handler_binary_content": ["aretrieve_container_file_content"],
    "list_files": ["afile_list"],
    "retrieve_fine_tuning_job": ["aretrieve_fine_tuning_job"],
    "list_fine_tuning_jobs": ["alist_fine_tuning_jobs"],
    "cancel_fine_tuning_job": ["acancel_fine_tuning_job"],
    "realtime_websocket_endpoint": ["_arealtime"],
    "live_sessions_websocket_endpoint": ["_arealtime"],
    "responses_websocket_endpoint": ["_aresponses_websocket"],
    "vertex_ai_live_passthrough_endpoint": ["pass_through_endpoint"],
    "call_tool_rest_api": ["call_mcp_tool"],
    "aggregate_mcp_route": ["call_mcp_tool"],
    "dynamic_mcp_route": ["call_mcp_tool"],
    "proxy_mcp_route": ["call_mcp_tool"],
    "toolset_mcp_route": ["call_mcp_tool"],
}
PASS_THROUGH = re.compile(r"pass_through_endpoints\.(llm|openai)_passthrough_endpoints")
MOUNTS = {"/_next", "/litellm-asset-prefix/_next", "/ui", "/swagger", "/mcp"}

# Of the Proxy's own modules, those that call models: for health checks, which no account pays, for
# a mock answer, or in endpoints that the gate refuses.
CALLING = {
    "health_endpoints._health_endpoints",
    "management_endpoints.key_management_endpoints",
    "management_endpoints.policy_endpoints.endpoints",
}
CALLS = re.compile(r"\b(acompletion|atext_completion|aembedding|aresponses|aquery|aingest)\(")
WHAT_TO_DO = (
    "read what it does, and enter it in OWN, FREE_ENDPOINTS or HELPED here, or in "
    "budgetledger/litellm/proxy: call_kinds.py, or gate.py if it calls no hook"
)


def routes_of(routes):
    for route in routes:
        inner = getattr(route, "original_router", None)
        if inner is not None:
            yield from routes_of(inner.routes)
        else:
            yield route


@pytest.fixture(scope="module")
def routes():
    from litellm.proxy._lazy_features import register_all_features
    from litellm.proxy.proxy_server import app

    register_all_features(app)
    return list(routes_of(app.routes))


def endpoint_of(route):
    """The module of a route's endpoint, its name, and its source."""
    endpoint = route.endpoint
    module = endpoint.__module__.removeprefix("litellm.proxy.")
    return module, endpoint.__name__, inspect.getsource(endpoint)


def kinds_of(module, name, source):
    """The kinds of call that an endpoint names to the hook."""
    if name in HELPED:
        return HELPED[name]
    if PASS_THROUGH.fullmatch(module):
        return ["pass_through_endpoint"]
    return re.findall(r'(?:route_type|call_type)="(\w+)"', source)


def test_every_route_is_held_for_or_free_or_refused(routes):
    forgotten, found = [], 0
    for route in routes:
        if not hasattr(route, "endpoint"):
            if route.path not in MOUNTS:
                forgotten.append(f"{route.path} (an application of its own)")
            continue
        module, name, source = endpoint_of(route)
        found += 1
        kinds = kinds_of(module, name, source)
        if name in UNHOOKED or name in FREE_ENDPOINTS or (kinds and not unlisted(kinds)):
            continue
        if not any(module == own or module.startswith(f"{own}.") for own in OWN):
            forgotten.append(f"{route.path} ({module}.{name}, kinds {kinds})")
    assert found > 900
    assert not forgotten, f"{len(forgotten)} routes are in no table: {forgotten}; {WHAT_TO_DO}"


def test_every_kind_of_call_that_litellm_has_is_in_one_table():
    from litellm.proxy.common_request_processing import ProxyRouteType
    from litellm.proxy.route_llm_request import RouteType
    from litellm.types.utils import CallTypes

    kinds = {each.value for each in CallTypes}
    kinds |= {*get_args(ProxyRouteType), *get_args(RouteType)}
    assert len(kinds) > 150
    assert unlisted(kinds) == [], WHAT_TO_DO
    tables = [set(ESTIMATED), MEASURED, FREE, set(REFUSED)]
    assert sum(map(len, tables)) == len(set().union(*tables))


def test_what_is_free_by_its_module_calls_no_model(routes):
    endpoints = [route.endpoint for route in routes if hasattr(route, "endpoint")]
    modules = {endpoint.__module__: inspect.getmodule(endpoint) for endpoint in endpoints}
    calling = {
        name.removeprefix("litellm.proxy.")
        for name, module in modules.items()
        if CALLS.search(inspect.getsource(module))
    }
    own = {name for name in calling if any(name == o or name.startswith(f"{o}.") for o in OWN)}
    assert own == CALLING, WHAT_TO_DO


def test_what_the_gate_refuses_exists_and_authenticates_by_what_it_wraps(routes):
    from litellm.proxy.auth.user_api_key_auth import user_api_key_auth

    guarded = {}
    for route in routes:
        if hasattr(route, "endpoint") and route.endpoint.__name__ in UNHOOKED:
            calls = {each.call for each in route.dependant.dependencies}
            guarded[route.endpoint.__name__] = user_api_key_auth in calls
    assert guarded == dict.fromkeys(UNHOOKED, True)
